"""The installed scene on a real OBS while the program runs beside it, as its user has both."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
import urllib.request

import cv2
import numpy as np
import pytest

from integrations.obs.kit import names
from pipeline.sources.demo import PORTRAIT
from tests.e2e.obs.test_install import OVERLAY, Phosphene

pytestmark = pytest.mark.e2e

SMALL = {
    "output": {"size": "320x180"},
    "model": {"size": "64x64"},
    "engine": {"threads": 1},
    "sinks": ["preview"],
    # One still picture: what OBS shows is some frames old, which on a slow machine a moving one would be compared by.
    "source": {"kind": "image", "path": str(PORTRAIT)},
    "web": {"port": 0},
    "on_fault": "slate",
}


@pytest.fixture
def running(tmp_path, studio, obs, monkeypatch, capsys):
    """Phosphene's commands, and the program started by one of them."""
    phosphene = Phosphene(tmp_path, studio, monkeypatch, capsys)
    config = json.loads((tmp_path / "c.json").read_text())
    (tmp_path / "c.json").write_text(json.dumps({**config, **SMALL}))
    argv = [sys.executable, "-m", "daemon", "run", "--config", str(tmp_path / "c.json")]
    with (tmp_path / "output.txt").open("w") as output:
        program = subprocess.Popen(argv, stdout=output, stderr=subprocess.STDOUT)
    try:
        until(lambda: "http://" in (tmp_path / "output.txt").read_text(), 60, "no address")
        until(lambda: painted(phosphene), 60, "nothing is painted")
        yield phosphene, program
    finally:
        program.kill()
        program.wait(10)
        phosphene.obs("uninstall")


def until(true, seconds, said):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, said
        time.sleep(0.1)


def run_file(phosphene):
    return json.loads((phosphene.home / "RUNTIME_DIR" / "phosphene" / "run.json").read_text())


def asked(phosphene, path):
    token = (phosphene.home / "STATE_HOME" / "phosphene" / "token").read_text().strip()
    run = run_file(phosphene)
    request = urllib.request.Request(
        f"http://127.0.0.1:{run['port']}{path}", headers={"Authorization": f"Bearer {token}"}
    )
    return urllib.request.urlopen(request, timeout=5).read()


def painted(phosphene):
    status = json.loads(asked(phosphene, "/api/v1/status"))
    return status["engine"]["status"] == "ready" and status["metrics"]["frames"] > 3


def style(phosphene):
    return json.loads(asked(phosphene, "/api/v1/status"))["style"]


def written(obs):
    """The overlay's text."""
    return obs.request("GetInputSettings", {"inputName": OVERLAY})["inputSettings"]["text"]


def shown(obs, button):
    items = obs.request("GetSceneItemList", {"sceneName": names.BUTTONS_SCENE})["sceneItems"]
    return next(item["sceneItemEnabled"] for item in items if item["sourceName"] == button)


def has_size(obs):
    """Whether OBS has had a picture of the stream."""
    items = obs.request("GetSceneItemList", {"sceneName": names.SCENE})["sceneItems"]
    item = next(item for item in items if item["sourceName"] == names.PICTURE)
    return item["sceneItemTransform"]["sourceWidth"] > 0


def shot(obs, source):
    """BGR, 320x180. Refused while the source has no size."""
    size = {"imageFormat": "png", "imageWidth": 320, "imageHeight": 180}
    data = obs.request("GetSourceScreenshot", {"sourceName": source, **size})["imageData"]
    return picture(base64.b64decode(data.partition(",")[2]))


def picture(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).astype(float)


def difference(one, other):
    """Mean of absolute differences of small pictures, 0 to 255."""
    small = [cv2.resize(image, (32, 18), interpolation=cv2.INTER_AREA) for image in (one, other)]
    return float(np.abs(small[0] - small[1]).mean())


def test_obs_shows_what_is_painted_follows_its_buttons_and_has_a_card_for_the_end(running, obs):
    phosphene, program = running
    before = json.loads(asked(phosphene, "/api/v1/status"))
    phosphene.obs("install")
    time.sleep(0.5)
    after = json.loads(asked(phosphene, "/api/v1/status"))
    assert (after["mode"], after["revision"]) == ("styled", before["revision"]), "making buttons presses none"
    obs.request("SetCurrentProgramScene", {"sceneName": names.SCENE})

    def likeness():
        return difference(shot(obs, names.PICTURE), picture(asked(phosphene, "/snapshot.png")))

    try:
        until(lambda: has_size(obs) and likeness() < 5, 60, "OBS does not show the preview's picture")
        first = picture(asked(phosphene, "/snapshot.png"))
        until(lambda: written(obs) == style(phosphene), 20, "the overlay does not show the style")
        obs.request("TriggerHotkeyByName", {"hotkeyName": "libobs.show_scene_item.Phosphene > comic"})
        until(lambda: style(phosphene) == "comic", 20, "the push button does nothing")
        until(lambda: written(obs) == "comic", 20, "the overlay does not follow")
        until(lambda: not shown(obs, names.button("comic")), 20, "the button does not spring back")
        until(
            lambda: likeness() < 5 and difference(first, shot(obs, names.PICTURE)) > 10,
            60,
            "OBS does not show the new style",
        )
        seen = shot(obs, names.SCENE)
        cv2.imwrite(str(phosphene.home / "scene.png"), seen)
        program.terminate()
        program.wait(20)
        until(lambda: shot(obs, names.SCENE)[:120].mean() < 60, 60, "the fallback does not show")
        card = shot(obs, names.SCENE)
        cv2.imwrite(str(phosphene.home / "card.png"), card)
        assert difference(seen, card) > 30
        assert card[80:100, 100:220].max() > 200  # "Phosphene is not running"
    finally:
        obs.request("SetCurrentProgramScene", {"sceneName": "Plain"})
