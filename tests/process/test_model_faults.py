"""A model that cannot be loaded costs the painting and not the picture, and is tried again by itself."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from tests.faults.campaign import Scene
from tests.faults.scenes import painted_bars

MODEL = Path(__file__).resolve().parents[2] / "pipeline" / "models" / "builtin"


def the_picture_goes_on(scene: Scene, words: str) -> None:
    scene.wait(lambda s: s["engine"]["status"] == "failed" and words in s["engine"]["error"], 90, words)
    scene.viewer.mark()
    time.sleep(2)
    assert scene.viewer.total > 30
    assert scene.viewer.slates == scene.viewer.total, "it says what is wrong, and shows nothing else"
    assert scene.status()["engine"]["mend"]


def test_a_file_that_is_cut_short_is_named_and_used_once_it_is_whole(tmp_path):
    model = tmp_path / "model"
    shutil.copytree(MODEL, model)
    weights = max(model.rglob("*.safetensors"), key=lambda file: file.stat().st_size)
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with painted_bars(tmp_path / "home", "--model", str(model)) as scene:
        the_picture_goes_on(scene, weights.name)
        weights.write_bytes(whole)
        scene.painting(90)


def test_a_hub_that_cannot_be_reached_is_named(tmp_path):
    with painted_bars(
        tmp_path / "home", "--model", "nobody/nothing", HF_ENDPOINT="http://127.0.0.1:9"
    ) as scene:
        the_picture_goes_on(scene, "nobody/nothing")
