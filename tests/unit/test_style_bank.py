"""The style bank on disk: edits, comments, backups, names and values that YAML could misread, and no lost update."""

import itertools
import string
import threading

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from daemon import places
from daemon.bank import edit as bank_edit
from daemon.bank import file as bank_file
from daemon.bank.edit import as_text, from_text, tag_of, values_of
from daemon.bank.live import StyleBank
from daemon.config import file as config_file
from daemon.config.errors import ConfigError
from daemon.control import ControlHub
from daemon.settings import load
from integrations.bank import (
    AddStyle,
    BankChangedError,
    EditStyle,
    ImportStyles,
    NoSuchStyleError,
    OrderStyles,
    PutStyle,
    RemoveStyle,
    ResetStyle,
    SetPlaylist,
    StyleExistsError,
)
from pipeline.errors import PhospheneError


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    for name in ("CONFIG", "STATE", "RUNTIME"):
        key = f"XDG_{name}_{'DIR' if name == 'RUNTIME' else 'HOME'}"
        (tmp_path / name.lower()).mkdir()
        monkeypatch.setenv(key, str(tmp_path / name.lower()))


@pytest.fixture
def hub():
    made = ControlHub(load({}, None, environment={}))
    yield made
    made.close()


@pytest.fixture
def bank(hub):
    return StyleBank(hub)


def path():
    return bank_file.bank_path(None)


def names(bank):
    return [style["name"] for style in bank.listed()["styles"]]


def style(bank, name):
    return next(style for style in bank.listed()["styles"] if style["name"] == name)


def test_a_new_style_is_kept_on_disk_and_live_at_once(bank, hub):
    bank.change(
        AddStyle("mine", {"prompt": "a drawing", "strength": 0.4, "colour": "teal", "hotkey": "Ctrl+Alt+M"}),
        "web",
    )
    made = style(bank, "mine")
    assert (made["prompt"], made["strength"], made["colour"], made["hotkey"]) == (
        "a drawing", 0.4, "#12a594", "ctrl+alt+m",
    )  # fmt: skip
    assert made["origin"] == "bank"
    assert made["where"].startswith(str(path()))
    assert names(bank)[-1] == "mine"
    assert hub.bank["mine"].strength == 0.4
    assert load({}, None, environment={}).settings.styles["mine"].prompt == "a drawing"
    events = [event for event in hub.recent_events() if event.kind == "styles"]
    assert events[-1].message == "style mine added (web)"


def test_comments_order_and_what_was_done_by_hand_stay(bank):
    path().parent.mkdir(parents=True, exist_ok=True)
    path().write_text(
        "# my looks\nstyles:\n  # for talks\n  calm:   # soft\n    prompt: watercolor # pale\n    strength: 0.3\n"
        "  loud: {prompt: pop art halftone}  # for parties\n"
    )
    before = path().read_text()
    bank.change(EditStyle("calm", {"strength": 0.35, "seed": 4}), "web")
    text = path().read_text()
    for comment in ("# my looks", "# for talks", "# soft", "# pale", "# for parties"):
        assert comment in text
    assert path().with_name("styles.yaml.bak").read_text() == before
    assert config_file.read(path()).data["styles"]["calm"] == {
        "prompt": "watercolor",
        "strength": 0.35,
        "seed": 4,
    }
    assert "neon" in names(bank), "the packaged ones are there still"


def test_editing_a_packaged_style_keeps_its_other_values_and_its_place(bank):
    at = names(bank).index("neon")
    bank.change(EditStyle("neon", {"strength": 0.7}), "web")
    assert style(bank, "neon")["strength"] == 0.7
    assert style(bank, "neon")["guidance_scale"] == 1.3
    assert names(bank).index("neon") == at
    bank.change(EditStyle("neon", {"guidance_scale": 1.0}), "web")
    assert style(bank, "neon")["guidance_scale"] == 1.0, (
        "a default in the style file counts over a packaged value"
    )
    bank.change(ResetStyle("neon"), "web")
    assert (style(bank, "neon")["strength"], style(bank, "neon")["guidance_scale"]) == (0.5, 1.3)
    assert style(bank, "neon")["origin"] == "packaged"


def test_removing(bank):
    bank.change(AddStyle("mine", {"prompt": "x"}), "web")
    bank.change(RemoveStyle("mine"), "web")
    bank.change(RemoveStyle("neon"), "web")
    assert not {"mine", "neon"} & set(names(bank))
    assert config_file.read(path()).data["styles"] == {"neon": None}, "a packaged one is hidden by null"
    bank.change(ResetStyle("neon"), "web")
    assert "neon" in names(bank)


def test_renaming_keeps_the_place(bank):
    at = names(bank).index("neon")
    bank.change(EditStyle("neon", new_name="night"), "web")
    assert names(bank)[at] == "night"
    assert "neon" not in names(bank)
    with pytest.raises(StyleExistsError):
        bank.change(EditStyle("night", new_name="anime"), "web")


def test_order(bank):
    bank.change(OrderStyles(("oil", "neon")), "web")
    assert names(bank)[:3] == ["oil", "neon", "anime"]
    bank.change(AddStyle("mine", {"prompt": "x"}, before="neon"), "web")
    assert names(bank)[:3] == ["oil", "mine", "neon"]
    with pytest.raises(NoSuchStyleError):
        bank.change(OrderStyles(("oil", "nothing")), "web")


def test_export_and_import_are_each_other(bank, hub):
    bank.change(AddStyle("mine", {"prompt": "x", "loras": {"a.safetensors": 0.5}}), "web")
    bank.change(OrderStyles(("mine",)), "web")
    whole = bank.exported()
    bank.change(ImportStyles({"only": {"prompt": "y"}}, replace=True), "web")
    assert names(bank) == ["only"]
    bank.change(ImportStyles(whole, replace=True), "web")
    assert bank.exported() == whole
    assert list(bank.exported()) == list(whole)


@pytest.mark.parametrize(
    ("edit", "error", "word"),
    [
        (AddStyle("neon", {"prompt": "x"}), StyleExistsError, "already"),
        (EditStyle("nein", {"seed": 1}), NoSuchStyleError, "nein"),
        (RemoveStyle("nein"), NoSuchStyleError, "nein"),
        (ResetStyle("neon"), NoSuchStyleError, "style file"),
        (AddStyle("a/b", {"prompt": "x"}), PhospheneError, "cannot name a style"),
        (AddStyle("..", {"prompt": "x"}), PhospheneError, "cannot name a style"),
        (AddStyle("a", {}), PhospheneError, "prompt"),
        (AddStyle("a", {"prompt": "x", "strength": 2}), PhospheneError, "strength"),
        (AddStyle("a", {"prompt": "x", "strength": True}), PhospheneError, "strength"),
        (AddStyle("a", {"prompt": "x", "colour": "mauve"}), PhospheneError, "colour"),
        (AddStyle("a", {"prompt": "x", "hotkey": "q"}), PhospheneError, "hotkey"),
        (AddStyle("a", {"prompt": "x", "loras": {"f": 9}}), PhospheneError, "lora"),
        (AddStyle("a", {"prompt": "x", "promt": "y"}), PhospheneError, "promt"),
        (SetPlaylist({"items": ["neon for ever and a day for 0s"]}), PhospheneError, "0 s"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_changes(bank, edit, error, word):
    bank.change(AddStyle("mine", {"prompt": "x"}), "web")
    before, listed = path().read_bytes(), bank.listed()
    with pytest.raises(error, match=f"(?i){word}"):
        bank.change(edit, "web")
    assert path().read_bytes() == before
    assert bank.listed() == listed


def test_a_broken_file_is_left_alone_and_the_old_bank_stays(bank, hub):
    bank.change(AddStyle("mine", {"prompt": "x"}), "web")
    path().write_text("styles:\n  mine: {prompt: y\n")
    with pytest.raises(ConfigError, match=r"styles.yaml:3"):
        bank.change(RemoveStyle("mine"), "web")
    assert path().read_text() == "styles:\n  mine: {prompt: y\n"
    assert hub.try_reload() is None
    assert style(bank, "mine")["prompt"] == "x"


def test_an_alias_does_not_change_two_styles_at_once(bank):
    path().parent.mkdir(parents=True, exist_ok=True)
    text = "styles:\n  one: &look\n    prompt: x\n    seed: 1\n  two: *look\n"
    path().write_text(text)
    with pytest.raises(PhospheneError, match="alias"):
        bank.change(EditStyle("two", {"seed": 2}), "web")
    assert path().read_text() == text


def test_only_styles_belong_into_the_file(bank):
    path().parent.mkdir(parents=True, exist_ok=True)
    path().write_text("styles: {}\noutput: {fps: 5}\n")
    with pytest.raises(ConfigError, match=r"styles.yaml:2:1.*output"):
        load({}, None, environment={})


def test_faults_in_the_file_name_its_line(bank):
    path().parent.mkdir(parents=True, exist_ok=True)
    path().write_text("styles:\n  mine:\n    prompt: x\n    strength: 3\n")
    with pytest.raises(ConfigError, match=r"styles.yaml:4:5: styles.mine.strength"):
        load({}, None, environment={})


def test_another_configuration_has_a_style_file_of_its_own(tmp_path):
    (tmp_path / "stage.yaml").write_text("output: {fps: 25}\n")
    loaded = load({}, tmp_path / "stage.yaml", environment={})
    assert loaded.bank == tmp_path / "stage.styles.yaml"
    after, _ = bank_edit.change(loaded, AddStyle("mine", {"prompt": "x"}))
    assert "mine" in after.settings.styles
    assert not path().exists()
    assert "mine" not in load({}, None, environment={}).settings.styles


def test_a_tag_that_is_old_refuses(bank, hub):
    tag = bank.listed()["tag"]
    bank.change(EditStyle("neon", {"seed": 1}), "web", tag)
    with pytest.raises(BankChangedError):
        bank.change(EditStyle("neon", {"seed": 2}), "web", tag)
    assert style(bank, "neon")["seed"] == 1
    path().write_text(path().read_text().replace("seed: 1", "seed: 3"))  # by hand, not read yet
    with pytest.raises(BankChangedError):
        bank.change(EditStyle("neon", {"seed": 2}), "web", tag_of(hub.settings))


def test_many_at_once_lose_nothing(bank):
    def add(n):
        bank.change(AddStyle(f"s{n}", {"prompt": str(n)}), "web")

    threads = [threading.Thread(target=add, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {f"s{n}" for n in range(12)} <= set(names(bank))


def test_a_running_look_follows_an_edit_of_its_style(bank, hub):
    from pipeline.messages import SetStyle

    hub.submit(SetStyle("neon"), "test")
    bank.change(EditStyle("neon", {"strength": 0.9}), "web")
    assert hub.state.style.strength == 0.9


def test_the_file_written_by_the_daemon_is_not_read_again(bank, hub):
    bank.change(AddStyle("mine", {"prompt": "x"}), "web")
    count = len(hub.recent_events())
    bank.changed_by_hand()
    assert len(hub.recent_events()) == count
    path().write_text(path().read_text().replace("prompt: x", "prompt: yy"))
    bank.changed_by_hand()
    assert style(bank, "mine")["prompt"] == "yy"


def test_a_folder_that_cannot_be_written_is_said(bank, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(bank_file.tempfile, "mkstemp", refuse)
    with pytest.raises(PhospheneError, match="cannot be written"):
        bank.change(AddStyle("mine", {"prompt": "x"}), "web")
    assert "mine" not in names(bank)


TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn", "Co"), exclude_characters="﻿"),
    max_size=40,
) | st.sampled_from(
    [
        "yes",
        "null",
        "~",
        "1e3",
        "0o7",
        ".5e3",
        "1:30",
        "- a",
        "#x",
        "a: b",
        "'",
        '"',
        "12",
        "",
        "{a}",
        "?0",
        ":)",
    ]
)


def test_every_pair_of_signs_comes_back_as_it_was():
    signs = string.punctuation + "a0 é"
    texts = ["".join(pair) for pair in itertools.product(signs, repeat=2)]
    styles = {f"s{n}": {"prompt": text} for n, text in enumerate(texts)}
    assert from_text(as_text(styles), "test")["styles"] == styles


@given(
    prompt=TEXT, name=TEXT.filter(lambda t: t.strip(". ") and not set(t) & set(":=,/") and not t[0].isspace())
)
@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_text_comes_back_as_it_was(prompt, name):
    path().unlink(missing_ok=True)
    loaded = load({}, None, environment={})
    values = {
        "prompt": prompt,
        "negative_prompt": prompt,
        "strength": 0.25,
        "loras": {prompt: 0.5} if prompt else {},
    }
    after, _ = bank_edit.change(loaded, PutStyle(name, values))
    again = load({}, None, environment={}).settings.styles[name]
    assert again == after.settings.styles[name]
    assert {
        **values_of(again),
        "loras": dict(again.loras),
        "negative_prompt": again.negative_prompt,
    } == values
    assert places.user_config().with_name("styles.yaml") == path()
