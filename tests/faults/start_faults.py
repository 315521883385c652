"""Faults that a daemon meets at its start: a model that cannot be had. The picture is the card, which says why."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.campaign import Outcome, Scene
from tests.faults.scenes import painted_bars

MODEL = Path(__file__).resolve().parents[2] / "pipeline" / "models" / "builtin"
LOOK_S = 3.0


def model_cut_short(home: Path) -> Outcome:
    """Half a weights file; then the whole one, which is found by trying again."""
    model = home.parent / f"{home.name}-model"
    shutil.copytree(MODEL, model)
    weights = max(model.rglob("*.safetensors"), key=lambda file: file.stat().st_size)
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with painted_bars(home, "--model", str(model)) as scene:
        outcome = _judged(scene, "a model file that is cut short, then whole", weights.name)
        weights.write_bytes(whole)
        outcome.recovery_s = scene.painting(90)
    return outcome


def hub_unreachable(home: Path) -> Outcome:
    """Nobody answers at the hub's address."""
    with painted_bars(home, "--model", "nobody/nothing", HF_ENDPOINT="http://127.0.0.1:9") as scene:
        return _judged(scene, "a hub that cannot be reached", "nobody/nothing")


def _judged(scene: Scene, fault: str, words: str) -> Outcome:
    """While the engine is tried again and again: the card, at the full rate, with the cause and the mend in the
    status."""
    scene.wait(lambda s: s["engine"]["status"] == "failed" and words in s["engine"]["error"], 90, words)
    scene.viewer.mark()
    time.sleep(LOOK_S)
    gap, wrong = scene.viewer.longest_gap_s, []
    if scene.viewer.total < 15 * LOOK_S:
        wrong.append(f"only {scene.viewer.total} pictures in {LOOK_S:g} s")
    if scene.viewer.slates != scene.viewer.total:
        wrong.append("it shows something other than the card")
    if not scene.status()["engine"]["mend"]:
        wrong.append("nothing is said that mends it")
    return Outcome(fault, gap, 0.0, scene.viewer.raw, wrong)


FAULTS: tuple[Callable[[Path], Outcome], ...] = (model_cut_short, hub_unreachable)
