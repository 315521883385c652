"""Every source and sink is one file that keeps the contract of `pipeline.kinds`."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys

import pytest

from pipeline import kinds
from pipeline.errors import PhospheneError
from pipeline.options import Options

SOURCES = ("auto", "demo", "image", "noise", "test_pattern", "video_file", "webcam")
SINKS = ("null", "preview", "recorder", "virtual_camera")
EVERY = [(folder, kind) for folder in ("pipeline.sources", "pipeline.sinks") for kind in kinds.names(folder)]
HEAVY = {"torch", "cv2", "pyvirtualcam", "av", "diffusers", "transformers"}


def test_the_kinds_that_the_program_promises_are_there():
    assert set(SOURCES) <= set(kinds.names("pipeline.sources"))
    assert set(SINKS) <= set(kinds.names("pipeline.sinks"))


@pytest.mark.parametrize(("folder", "kind"), EVERY)
def test_gives_options_available_and_create(folder, kind):
    module = kinds.load(folder, kind)
    assert issubclass(module.Options, Options)
    reason = module.available()
    assert reason is None or (isinstance(reason, str) and len(reason) > 10)
    wanted = ["options"] if folder == "pipeline.sources" else ["options", "output"]
    assert list(inspect.signature(module.create).parameters) == wanted
    if (argument := getattr(module, "ARGUMENT", None)) is not None:
        assert argument in module.Options.model_fields


@pytest.mark.parametrize(("folder", "kind"), EVERY)
def test_every_option_says_what_it_is_and_when_it_applies(folder, kind):
    for name, field in kinds.load(folder, kind).Options.model_fields.items():
        assert field.description, name
        extra = field.json_schema_extra
        assert isinstance(extra, dict), name
        assert extra["applies"] in ("live", "prepare", "rebuild"), name


@pytest.mark.parametrize("folder", ["pipeline.sources", "pipeline.sinks"])
def test_importing_every_kind_and_asking_whether_the_sinks_are_available_is_light(folder):
    """In a fresh process: the CLI reads every kind's options before it may take half a second."""
    script = (
        "import json, sys\n"
        "from pipeline import kinds\n"
        f"modules = [kinds.load({folder!r}, kind) for kind in kinds.names({folder!r})]\n"
        "[m.Options.model_json_schema() for m in modules]\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert not HEAVY & set(json.loads(ended.stdout))


def test_an_unknown_kind_names_the_known_ones():
    with pytest.raises(PhospheneError, match="no kind 'webcm'") as error:
        kinds.load("pipeline.sources", "webcm")
    assert "webcam" in error.value.mend


def test_every_engine_says_whether_it_can_be_used_and_loads_nothing_heavy():
    script = (
        "import json, sys\n"
        "from pipeline.engine.kinds._contract import PACKAGE, kind_of, wanted\n"
        "from pipeline import kinds\n"
        "said = {n: [kind_of(n).available(d) for d in ('cpu', 'cuda', 'mps')] for n in kinds.names(PACKAGE)}\n"
        "tried = {d: wanted('auto', d) for d in ('cpu', 'cuda', 'mps', 'xpu')}\n"
        "heavy = sorted({name.partition('.')[0] for name in sys.modules})\n"
        "print(json.dumps([said, tried, heavy]))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    said, tried, loaded = json.loads(ended.stdout)
    assert said["eager"] == [None, None, None]
    assert all(reason is None or len(reason) > 20 for reasons in said.values() for reason in reasons)
    assert all(set(names) <= set(said) for names in tried.values())
    assert not (HEAVY | {"openvino", "tensorrt"}) & set(loaded)
