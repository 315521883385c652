"""One running daemon, changed from outside: every change is seen in the pictures that come out."""

from __future__ import annotations

import io
import json
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.sources.demo import PORTRAIT

CONFIG = f"""
source: {{kind: image, path: {PORTRAIT}}}
sinks: [preview, "null"]
output: {{size: 320x240}}
similarity: {{enabled: false}}
style: ink
styles:
  ink: {{prompt: pencil sketch}}
  heat: {{prompt: thermal camera}}
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory, daemon_in):
    made = daemon_in(tmp_path_factory.mktemp("daemon"))
    folder = made.home / "config" / "phosphene"
    folder.mkdir()
    (folder / "config.yaml").write_text(CONFIG)
    with made.start():
        made.wait(
            lambda s: s["engine"]["status"] == "ready" and any(k["showing"] == "styled" for k in s["sinks"])
        )
        yield made
        assert made.end() == 0


@pytest.fixture(autouse=True)
def styled(running):
    """Each test begins with the same style and mode."""
    running.command("mode", "styled")
    running.command("style", "ink")
    reach(running)


def reach(running) -> dict:
    """Wait until the newest revision is what the null sink shows."""
    revision = running.status()["revision"]
    return running.wait(lambda s: s["metrics"]["shown_revision"] >= revision and "styled" in showing(s))


def showing(status: dict) -> list[str]:
    """Rungs of the sinks that somebody looks at."""
    return [sink["showing"] for sink in status["sinks"] if sink["showing"] != "idle"]


def snapshot(running) -> np.ndarray:
    """The picture that a sink gets, through the HTTP API."""
    address = running.status()["address"]
    token = (running.home / "state" / "phosphene" / "token").read_text().strip()
    request = urllib.request.Request(f"{address}/snapshot.png", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return np.asarray(Image.open(io.BytesIO(answer.read())).convert("RGB")).astype(float)


def colourfulness(picture: np.ndarray) -> float:
    return float((picture.max(axis=2) - picture.min(axis=2)).mean())


def test_a_style_changes_the_picture(running):
    pencil = snapshot(running)
    done = running.command("style", "heat", "--json")
    assert json.loads(done.stdout)["state"]["style"]["name"] == "heat"
    reach(running)
    heat = snapshot(running)
    assert pencil.shape == heat.shape == (240, 320, 3)
    assert colourfulness(heat) > colourfulness(pencil) + 25, (
        "a pencil sketch is grey, a thermal picture is not"
    )


def test_a_prompt_and_values_change_it_too(running):
    pencil = snapshot(running)
    running.command("prompt", "thermal camera", "--negative", "pencil sketch")
    reach(running)
    assert colourfulness(snapshot(running)) > colourfulness(pencil) + 25
    running.command("set", "strength", "0")
    reach(running)
    plain = snapshot(running)
    running.command("mode", "bypass")
    running.wait(lambda s: "raw" in showing(s))
    raw = snapshot(running)
    assert np.abs(plain - raw).mean() < 12 < np.abs(pencil - raw).mean(), (
        "strength 0 shows the camera's own picture"
    )


def test_an_unknown_style_is_refused_and_changes_nothing(running):
    before = running.status()["revision"]
    done = running.command("style", "inc", check=False)
    assert done.returncode == 8
    assert "ink" in done.stderr, "the message names the style that was meant"
    assert running.status()["revision"] == before


def test_panic_closes_the_camera_and_only_an_explicit_act_leaves_it(running):
    running.command("panic")
    closed = running.wait(lambda s: s["source"]["status"] == "closed")
    assert closed["processes"]["capture"] is None
    assert set(showing(closed)) == {"slate"}
    running.command("style", "heat")
    assert running.status()["mode"] == "panic"
    running.command("resume")
    reach(running)


def test_freeze_holds_the_picture(running):
    running.command("freeze")
    running.wait(lambda s: set(showing(s)) == {"frozen"})
    first = snapshot(running)
    running.command("style", "heat")  # the source is a still: without this, every picture would be the same
    time.sleep(1.5)
    assert set(showing(running.status())) == {"frozen"}
    assert np.array_equal(first, snapshot(running))


def test_a_bad_configuration_changes_nothing_and_a_good_one_applies(running):
    path = Path(running.home / "config" / "phosphene" / "config.yaml")
    before = running.status()
    path.write_text(CONFIG.replace("320x240", "321x240"))
    done = running.command("reload", check=False)
    assert done.returncode != 0
    assert "321" in done.stderr
    assert running.status()["revision"] == before["revision"]
    path.write_text(CONFIG.replace("pencil sketch", "thermal camera"))
    running.command("reload")
    reach(running)
    assert colourfulness(snapshot(running)) > 40
    path.write_text(CONFIG)
    running.command("reload")


def test_steps_and_canvas_change_inside_the_running_engine(running):
    before, pencil = running.status(), snapshot(running)
    running.command("set", "t_index_list", "[40, 46]")
    running.command("set", "canvas_scale", "0.5")
    reach(running)
    status = running.wait(
        lambda s: s["engine"]["steps"] == 2 and s["engine"]["size"] != before["engine"]["size"]
    )
    assert "2 steps" in status["engine"]["detail"]
    assert status["processes"] == before["processes"]
    changed = snapshot(running)
    assert changed.shape == pencil.shape
    assert np.abs(changed - pencil).mean() > 1
    running.command("set", "t_index_list", "[45]")
    running.command("set", "canvas_scale", "1")
    status = reach(running)
    assert status["engine"]["restarts"] == before["engine"]["restarts"]
    assert np.abs(snapshot(running) - pencil).mean() < np.abs(changed - pencil).mean() / 2
