"""The schema, its layers, and the errors people read."""

import json
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import SecretStr

from daemon import places
from daemon.config import template as config_template
from daemon.config.choice import Choice
from daemon.config.effective import effective
from daemon.config.errors import ConfigError
from daemon.config.schema import leaves, plain
from daemon.config.style_settings import StyleSettings
from daemon.settings import Settings, load
from pipeline import kinds
from pipeline.frame import Size
from pipeline.options import Options


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    for name in ("CONFIG", "STATE", "RUNTIME"):
        key = f"XDG_{name}_{'DIR' if name == 'RUNTIME' else 'HOME'}"
        monkeypatch.setenv(key, str(tmp_path / name.lower()))


def read(text, tmp_path, overrides=None, environment=None):
    path = tmp_path / "mine.yaml"
    path.write_text(text, "utf-8")
    return load(overrides or {}, path, environment=environment or {})


def problems(text, tmp_path, **more):
    with pytest.raises(ConfigError) as caught:
        read(text, tmp_path, **more)
    return caught.value.problems


# ---------------------------------------------------------------- config.yaml


def shipped():
    return places.packaged_config().read_text("utf-8")


def test_shipped_file_has_every_key_with_its_default():
    data = yaml.safe_load(shipped())
    bare = Settings()
    for name in Settings.model_fields:
        if name != "styles":
            assert data[name] == _as_yaml(getattr(bare, name)), name


def _as_yaml(value):
    if isinstance(value, Choice):
        return {"kind": value.kind, **_as_yaml(value.options)}
    if isinstance(value, Options):
        plain = {name: _as_yaml(getattr(value, name)) for name in type(value).model_fields}
        return {**plain, **({"loras": dict(value.loras)} if "loras" in plain else {})}
    if isinstance(value, Size):
        return str(value)
    if isinstance(value, tuple):
        return [_as_yaml(item) for item in value]
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def test_shipped_file_says_what_the_schema_says():
    text = shipped()
    assert config_template.MARKER in text
    assert config_template.template(text[text.index(config_template.MARKER) :]) == text, (
        "python -m daemon.config.template --write"
    )


def test_every_line_of_the_shipped_settings_has_one_comment():
    head = shipped().partition(config_template.MARKER)[0]
    for line in head.splitlines():
        if line and not line.startswith("#"):
            assert re.fullmatch(r"[^#]*\S +# \S.*", line), line


def test_shipped_styles_are_valid_and_named_differently():
    loaded = load({}, None, environment={})
    assert loaded.settings.styles
    prompts = [style.prompt for style in loaded.settings.styles.values()]
    assert len(set(prompts)) == len(prompts)


# ---------------------------------------------------------------- schema


def test_every_setting_says_what_it_is_and_when_it_applies():
    for loaded in (Settings(), Settings.model_validate({"styles": {"a": {"prompt": "x"}}})):
        for leaf in leaves(loaded):
            assert leaf.applies in ("live", "prepare", "rebuild")
            assert leaf.help or leaf.path[-1] == "kind", leaf.key


def test_settings_are_frozen():
    with pytest.raises(Exception, match="frozen"):
        Settings().hold_s = 3  # type: ignore[misc]


def test_json_schema_has_every_kind():
    schema = json.dumps(Settings.model_json_schema())
    for package in ("pipeline.sources", "pipeline.sinks"):
        for kind in kinds.names(package):
            assert f'"const": "{kind}"' in schema


def test_settings_survive_their_own_json():
    one = Settings.model_validate({"styles": {"a": {"prompt": "x", "loras": {"f": 0.5}}}, "source": "noise"})
    assert Settings.model_validate_json(one.model_dump_json()) == one


def test_short_forms(tmp_path):
    (tmp_path / "clip.mp4").touch()
    settings = read("model: some/hub-id\nsource: video_file:clip.mp4\nsinks: preview\n", tmp_path).settings
    assert settings.model.name == "some/hub-id"
    assert settings.source.kind == "video_file"
    assert str(settings.source.options.path) == str(tmp_path / "clip.mp4")  # relative to the file's folder
    assert [sink.kind for sink in settings.sinks] == ["preview"]


def test_relative_paths_of_the_command_line_stay_as_they_are(tmp_path):
    settings = load({"source": "video_file:clip.mp4"}, None, environment={}).settings
    assert str(settings.source.options.path) == "clip.mp4"


def test_loras_as_mapping_or_list():
    both = [StyleSettings.model_validate({"prompt": "x", "loras": given}) for given in ({"a": 1.0}, ["a"])]
    assert both[0] == both[1]
    assert both[0].named("s").loras == (("a", 1.0),)


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("text", "key", "line", "word", "mend"),
    [
        ("output:\n  size: 641x480\n", "output.size", 2, "odd", "640x480"),
        ("output:\n  size: 2x2\n", "output.size", 2, "out of range", "64x64"),
        ("output:\n  size: big\n", "output.size", 2, "not a size", "WIDTHxHEIGHT"),
        ("output:\n  fps: 500\n", "output.fps", 2, "500 is out of range", "1 to 240"),
        ("output:\n  fps: true\n", "output.fps", 2, "not true", "number"),
        ("output: {fps: fast}\n", "output.fps", 1, "needs a number", "number"),
        ("output: {fit: covr}\n", "output.fit", 1, "not one of", "'cover'"),
        ("\noutptu: {fps: 30}\n", "outptu", 2, "no such key", "'output'"),
        ("output: {fsp: 30}\n", "output.fsp", 1, "no such key", "'fps'"),
        ("output: 30\n", "output", 1, "mapping", "key"),
        ("model: {size: 500x512}\n", "model.size", 1, "multiples of 32", "512x512"),
        ("denoiser: {t_index_list: [30, 20]}\n", "denoiser.t_index_list", 1, "not a list of steps", "rising"),
        ("denoiser: {frame_buffer_size: 0}\n", "denoiser.frame_buffer_size", 1, "out of range", "1 to 8"),
        ("source: webcm:0\n", "source", 1, "no source 'webcm'", "'webcam'"),
        ("source: {kind: webcam, fsp: 3}\n", "source.fsp", 1, "no such key", "'fps'"),
        ("source: {fsp: 3}\n", "source.fsp", 1, "no such key", "'fps'"),
        ("sinks:\n  - preview\n  - recoder\n", "sinks.1", 3, "no sink 'recoder'", "'recorder'"),
        ("sinks:\n  - {kind: preview, quality: 101}\n", "sinks.0.quality", 2, "out of range", "1 to 100"),
        ("engine: {threads: many}\n", "engine.threads", 1, "threads", "auto"),
        ("engine: {device: gpu}\n", "engine.device", 1, "cannot be used", "cuda"),
        ("styles:\n  mine:\n    strength: 0.5\n", "styles.mine.prompt", 2, "missing", "add"),
        ("styles:\n  mine: {prompt: x, strength: 2}\n", "styles.mine.strength", 2, "out of range", "0 to 1"),
        ("styles: {mine: 3}\n", "styles.mine", 1, "mapping", "key"),
        ("styles: {'a:b': {prompt: x}}\n", "styles", 1, "cannot name a style", "without"),
        ("style: nosuchstyleatall\n", "style", 1, "no style", ""),
        ("on_fault: face\n", "on_fault", 1, "not one of", "slate"),
        ("similarity: {threshold: 1}\n", "similarity.threshold", 1, "out of range", "less than 1"),
        ("web: {port: 70000}\n", "web.port", 1, "out of range", "65535"),
    ],
)
def test_error_names_file_line_key_value_and_mend(text, key, line, word, mend, tmp_path):
    (problem,) = problems(text, tmp_path)
    said = str(problem)
    assert said.startswith(f"{tmp_path / 'mine.yaml'}:{line}:")
    assert f"{key}: " in said
    assert word in problem.message
    assert mend in problem.mend
    assert problem.mend
    assert problem.facts()["key"] == key


def test_all_faults_are_said_at_once_in_the_order_of_the_file(tmp_path):
    found = problems("web: {port: -1}\noutput: {fps: 0, size: 3x3}\nsource: nowhere\n", tmp_path)
    assert [problem.origin.line for problem in found] == [1, 2, 2, 3]


def test_unknown_style_at_start(tmp_path):
    (problem,) = problems("styles: {moonlight: {prompt: x}}\nstyle: moonligth\n", tmp_path)
    assert problem.mend == "did you mean 'moonlight'?"


def test_errors_of_environment_and_command_line_name_them(tmp_path):
    (problem,) = problems("", tmp_path, environment={"PHOSPHENE_OUTPUT__FPS": "fast"})
    assert str(problem).startswith("$PHOSPHENE_OUTPUT__FPS: output.fps: ")
    (problem,) = problems("", tmp_path, overrides={"output.size": "3x3"})
    assert str(problem).startswith("--size: output.size: ")


def test_misspelt_variable(tmp_path):
    (problem,) = problems("", tmp_path, environment={"PHOSPHENE_OUTPT__FPS": "1"})
    assert "'output'" in problem.mend
    assert (
        read("", tmp_path, environment={"PHOSPHENE_E2E": "1"}).settings
        == load({}, None, environment={}).settings
    )


# ---------------------------------------------------------------- layers


def test_layers_and_origins(tmp_path):
    loaded = read(
        "output:\n  fps: 20\n  fit: contain\n",
        tmp_path,
        overrides={"output.size": "640x480"},
        environment={"PHOSPHENE_OUTPUT__FPS": "25", "PHOSPHENE_DENOISER__T_INDEX_LIST": "[20, 30]"},
    )
    output = loaded.settings.output
    assert (output.fps, output.fit, output.size) == (25, "contain", Size(640, 480))
    assert loaded.settings.denoiser.t_index_list == (20, 30)
    layers = {row["key"]: (row["layer"], row["where"]) for row in effective(loaded)}
    assert layers["output.fps"] == ("environment", "$PHOSPHENE_OUTPUT__FPS")
    assert layers["output.fit"] == ("file", f"{tmp_path / 'mine.yaml'}:3:3")
    assert layers["output.size"] == ("command line", "--size")
    assert layers["output.upscale"][0] == "default"


def test_another_kind_drops_the_old_kinds_options(tmp_path):
    text = "source: {kind: demo, width: 320, height: 240}\n"
    other = read(text, tmp_path, overrides={"source": "test_pattern"}).settings.source
    assert other.options.width != 320
    same = read(text, tmp_path, overrides={"source": "demo"}).settings.source
    assert same.options.width == 320


def test_another_model_drops_the_old_models_vae(tmp_path):
    assert read("model: {name: a, vae: v}\n", tmp_path, overrides={"model": "b"}).settings.model.vae is None


def test_styles_merge_by_name(tmp_path):
    packaged = load({}, None, environment={}).settings.styles
    first, second, third = list(packaged)[:3]
    text = json.dumps(
        {
            "styles": {
                first: None,
                second: {"strength": 0.123},
                third: {"prompt": "other"},
                "zz": {"prompt": "n"},
            }
        }
    )
    styles = read(text, tmp_path).settings.styles
    assert first not in styles
    assert styles[second] == packaged[second].model_copy(update={"strength": 0.123})
    assert styles[third] == StyleSettings(prompt="other")
    assert list(styles) == [*list(packaged)[1:], "zz"]


def test_user_folder_is_searched(tmp_path, monkeypatch):
    folder = places.config_folder()
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("hold_s: 7\n")
    loaded = load({}, None, environment={})
    assert loaded.settings.hold_s == 7
    assert loaded.path == folder / "config.yaml"


def test_broken_link_in_user_folder_is_an_error():
    folder = places.config_folder()
    folder.mkdir(parents=True)
    (folder / "config.yaml").symlink_to("nowhere")
    with pytest.raises(ConfigError, match="no such file"):
        load({}, None, environment={})


def test_source_and_its_option_in_the_environment():
    environment = {"PHOSPHENE_SOURCE": "noise", "PHOSPHENE_SOURCE__FPS": "12"}
    source = load({}, None, environment=environment).settings.source
    assert (source.kind, source.options.fps) == ("noise", 12)


def test_plain_values_are_json():
    for leaf in leaves(load({}, None, environment={}).settings):
        json.dumps(plain(leaf))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("auto"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
SECTIONS = [
    *Settings.model_fields,
    *(
        f"{name}.{key}"
        for name in ("output", "engine", "denoiser", "source", "styles")
        for key in ("size", "fps", "kind", "x")
    ),
]


@given(st.dictionaries(st.sampled_from(SECTIONS), values, max_size=4))
@hypothesis_settings(max_examples=30, deadline=None)
def test_any_values_load_or_are_refused_in_words(overrides):
    try:
        load(overrides, None, environment={})
    except ConfigError as error:
        found = error.problems
    else:
        found = ()
    assert all(problem.message for problem in found)
    json.dumps([problem.facts() for problem in found])
