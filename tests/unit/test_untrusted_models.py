"""A model's files come from strangers: whatever stands in them, loading works or is refused in words."""

import json
import random
import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipeline.errors import ModelError
from pipeline.models import files
from pipeline.models.load import BUILTIN, load_model

CONFIGS = (
    "model_index.json",
    "phosphene.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "tokenizer/tokenizer_config.json",
    "unet/config.json",
    "vae/config.json",
)
WRONG = (
    st.none()
    | st.booleans()
    | st.integers(-3, 70)
    | st.sampled_from([10**7, 10**12, 0.5, -1.0, float("1e308")])
    | st.text(max_size=6)
    | st.lists(st.integers(-1, 64) | st.text(max_size=3), max_size=4)
    | st.just({})
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The built-in model with its weights as links: only small files are written."""
    made = tmp_path_factory.mktemp("model") / "model"
    shutil.copytree(BUILTIN, made, copy_function=lambda a, b: Path(b).symlink_to(Path(a).resolve()))
    return made


def refusal(load, path):
    """The error in words; None where it loads. Anything else that is raised fails the test."""
    try:
        load(path)
    except ModelError as error:
        return error
    return None


@pytest.mark.slow
@given(data=st.data(), name=st.sampled_from(CONFIGS), value=WRONG)
@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a load takes too long for shrinking
    suppress_health_check=[HealthCheck.too_slow],
)
def test_any_value_anywhere_in_a_models_settings_is_used_or_refused_in_words(folder, data, name, value):
    file = folder / name
    original = json.loads((BUILTIN / name).read_text("utf-8"))
    key = data.draw(st.sampled_from(sorted(original)))
    file.unlink()
    file.write_text(json.dumps({**original, key: value}), "utf-8")
    try:
        error = refusal(load_model, str(folder))
    finally:
        file.unlink()
        file.symlink_to((BUILTIN / name).resolve())
    assert error is None or (error.message and error.mend)


def test_weights_cut_short_or_changed_anywhere_are_used_or_refused_in_words(tmp_path):
    whole = tmp_path / "whole.safetensors"
    safetensors.torch.save_file({"a": torch.randn(4, 4), "b": torch.randn(3)}, whole)
    content, chance = whole.read_bytes(), random.Random(11)
    for _ in range(300):
        damaged = bytearray(content[: chance.randrange(len(content) + 1)])
        for _ in range(chance.randrange(4)):
            if damaged:
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        (file := tmp_path / "damaged.safetensors").write_bytes(damaged)
        error = refusal(files.read_safetensors, file)
        assert error is None or str(file) in error.message


def test_a_list_of_shards_reaches_no_file_outside_the_models_folder(tmp_path):
    safetensors.torch.save_file({"a": torch.zeros(1)}, tmp_path / "outside.safetensors")
    (folder := tmp_path / "model").mkdir()
    index = folder / "m.safetensors.index.json"
    for shard in ("../outside.safetensors", str(tmp_path / "outside.safetensors")):
        index.write_text(json.dumps({"weight_map": {"a": shard}}))
        with pytest.raises(ModelError, match=r"outside\.safetensors is missing"):
            files.read_weights(folder, "m", allow_pickle=False)
    for wrong in ([], {"a": 3}, None, {"a": None}):
        index.write_text(json.dumps({"weight_map": wrong}))
        with pytest.raises(ModelError, match=r"index\.json"):
            files.read_weights(folder, "m", allow_pickle=False)
