"""`phosphene obs install`, `uninstall` and `status` as their user runs them, against a real OBS."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from daemon.cli.main import main
from daemon.exit_codes import ExitCode
from integrations.obs.kit import names
from integrations.obs.kit.carry_out import carry_out
from integrations.obs.kit.look import look
from integrations.obs.kit.plan import install_plan, uninstall_plan
from integrations.obs.kit.record import read_record
from integrations.obs.kit.wanted import Camera, Taste, kit

pytestmark = pytest.mark.e2e


OVERLAY = "Phosphene overlay of this test"
"""Of another name than the usual one, which a daemon that follows this OBS writes to."""


class Phosphene:
    """Commands of a user with folders of their own, who has this OBS."""

    def __init__(self, home: Path, studio, patch, said) -> None:
        self.home, self._patch, self._said = home, patch, said
        for name in ("CONFIG_HOME", "STATE_HOME", "RUNTIME_DIR"):
            (home / name).mkdir(mode=0o700)
            patch.setenv(f"XDG_{name}", str(home / name))
        self.configure(studio.port, studio.password)

    def configure(self, port: int, password: str) -> None:
        (self.home / "c.json").write_text(
            json.dumps({"obs": {"port": port, "password": password, "overlay": OVERLAY}})
        )

    def obs(self, *arguments: str, code: int = ExitCode.OK) -> str:
        config = str(self.home / "c.json")
        self._patch.setattr(sys, "argv", ["phosphene", "obs", *arguments, "--config", config])
        with pytest.raises(SystemExit) as end:
            main()
        said = self._said.readouterr()
        assert end.value.code == code, f"{arguments}: {end.value.code}\n{said.out}\n{said.err}"
        text: str = said.out if code == ExitCode.OK else said.err
        return text

    def steps(self, *arguments: str) -> list[str]:
        found: list[str] = json.loads(self.obs(*arguments, "--json"))["steps"]
        return found

    @property
    def record(self) -> Path:
        return self.home / "STATE_HOME" / "phosphene" / "obs_installed.json"

    @property
    def script(self) -> Path:
        return self.home / "CONFIG_HOME" / "phosphene" / "obs" / "phosphene.lua"


@pytest.fixture
def phosphene(tmp_path, studio, obs, monkeypatch, capsys):
    made = Phosphene(tmp_path, studio, monkeypatch, capsys)
    yield made
    if studio.running:
        made.obs("uninstall")


def everything(obs) -> dict:
    """All that a user can see of the scene collection."""
    scenes = obs.request("GetSceneList")["scenes"]
    items = {
        scene["sceneName"]: obs.request("GetSceneItemList", {"sceneName": scene["sceneName"]})["sceneItems"]
        for scene in scenes
    }
    for item in (item for of_scene in items.values() for item in of_scene):
        for measured in ("sourceWidth", "sourceHeight", "width", "height"):
            del item["sceneItemTransform"][measured]  # not known before it is drawn
    inputs = obs.request("GetInputList")["inputs"]
    return {
        "scenes": scenes,
        "items": items,
        "inputs": inputs,
        "settings": {
            i["inputName"]: obs.request("GetInputSettings", {"inputName": i["inputName"]}) for i in inputs
        },
        "on air": obs.request("GetCurrentProgramScene"),
        "hotkeys": sorted(obs.request("GetHotkeyList")["hotkeys"]),
    }


def settled(obs, wanted: dict) -> dict:
    """OBS takes a moment to let go of what was removed."""
    deadline = time.monotonic() + 3
    while (found := everything(obs)) != wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def item_names(obs, scene: str) -> list[str]:
    return [i["sourceName"] for i in obs.request("GetSceneItemList", {"sceneName": scene})["sceneItems"]]


def remove_item(obs, scene: str, name: str) -> None:
    """As a user does it; `RemoveInput` leaves the item in scenes that are not drawn."""
    items = obs.request("GetSceneItemList", {"sceneName": scene})["sceneItems"]
    number = next(item["sceneItemId"] for item in items if item["sourceName"] == name)
    obs.request("RemoveSceneItem", {"sceneName": scene, "sceneItemId": number})


def test_what_was_announced_is_done_once_and_undone_without_a_trace(phosphene, obs):
    before = everything(obs)
    announced = phosphene.steps("install", "--dry-run")
    assert everything(obs) == before
    assert not phosphene.record.exists()
    assert not phosphene.script.exists()

    assert phosphene.steps("install") == announced
    after = everything(obs)
    assert {scene["sceneName"] for scene in after["scenes"]} == {
        *(scene["sceneName"] for scene in before["scenes"]), names.SCENE, names.BUTTONS_SCENE
    }  # fmt: skip
    assert all(after["items"][name] == items for name, items in before["items"].items())
    assert after["on air"] == before["on air"]
    items = {item["sourceName"]: item for item in after["items"][names.SCENE]}
    assert [*items][:4] == [names.FALLBACK, names.FALLBACK_TEXT, names.PICTURE, OVERLAY]
    assert [name for name, item in items.items() if item["sceneItemEnabled"]] == [*items][:4]
    assert items[names.PICTURE]["inputKind"] == "ffmpeg_source"
    assert items[names.PICTURE]["sceneItemTransform"]["boundsWidth"] == 320
    assert not any(item["sceneItemEnabled"] for item in after["items"][names.BUTTONS_SCENE])
    assert "libobs.show_scene_item.Phosphene > next" in after["hotkeys"]
    assert phosphene.script.read_text().startswith("-- Phosphene: named hotkeys")

    assert phosphene.steps("install") == []
    assert everything(obs) == after
    facts = json.loads(phosphene.obs("status", "--json"))
    assert (facts["installed"], facts["missing"], facts["script_loaded"]) == ("yes", [], False)
    assert facts["virtual_camera"] in ("off", "on", "not available")

    announced = phosphene.steps("uninstall", "--dry-run")
    assert everything(obs) == after
    assert phosphene.steps("uninstall") == announced
    assert settled(obs, before) == before
    assert not phosphene.record.exists()
    assert not phosphene.script.exists()
    assert phosphene.steps("uninstall") == []
    assert json.loads(phosphene.obs("status", "--json"))["installed"] == "no"


def test_what_is_the_users_stays_the_users(phosphene, obs):
    text = {"inputKind": "text_ft2_source_v2", "inputSettings": {"text": "mine"}, "sceneItemEnabled": True}
    obs.request("CreateInput", {"sceneName": "Plain", "inputName": "phosphene", **text})
    try:
        before = everything(obs)
        said = phosphene.obs("install")
        assert "a source 'phosphene' is there and yours" in said
        assert "phosphene" not in item_names(obs, names.SCENE)
        obs.request("CreateInput", {"sceneName": names.SCENE, "inputName": "My logo", **text})
        phosphene.script.write_text("-- mine now")

        said = phosphene.obs("uninstall")
        assert f"the scene '{names.SCENE}' stays, because it holds yours: 'My logo'" in said
        assert "has been changed by you" in said
        assert phosphene.script.read_text() == "-- mine now"
        assert not phosphene.record.exists()
        assert item_names(obs, names.SCENE) == ["My logo"]
        remove_item(obs, names.SCENE, "My logo")
        obs.request("RemoveScene", {"sceneName": names.SCENE})
        assert settled(obs, before) == before
    finally:
        remove_item(obs, "Plain", "phosphene")


def test_a_virtual_camera_as_the_picture(obs, tmp_path):
    """OBS takes the settings for a device, whether there is one or not."""
    studio, record = look(obs), tmp_path / "record.json"
    taste = Taste(Camera("/dev/video98"), ("neon",), OVERLAY, "neon")
    wanted = kit(taste, studio.canvas, studio.kinds, studio.platform)
    before = everything(obs)
    plan = install_plan(studio, wanted, read_record(record))
    assert not [trouble for _, trouble in carry_out(obs, plan, studio.collection, record) if trouble]
    made = obs.request("GetInputSettings", {"inputName": names.PICTURE})
    assert made["inputKind"] == "v4l2_input"
    assert made["inputSettings"]["device_id"] == "/dev/video98"
    assert install_plan(look(obs), wanted, read_record(record)).steps == ()
    removal = uninstall_plan(look(obs), wanted, read_record(record))
    assert not [trouble for _, trouble in carry_out(obs, removal, studio.collection, record) if trouble]
    assert settled(obs, before) == before


@pytest.mark.parametrize("studio_mode", [False, True])
def test_uninstalling_while_the_scene_is_on_air(phosphene, obs, studio, studio_mode):
    """In studio mode OBS 29 would be left without a program scene, and crash by the next request for it."""
    phosphene.obs("install")
    obs.request("SetStudioModeEnabled", {"studioModeEnabled": studio_mode})
    obs.request("SetCurrentProgramScene", {"sceneName": names.SCENE})
    if studio_mode:
        obs.request("SetCurrentPreviewScene", {"sceneName": names.SCENE})
    steps = phosphene.steps("uninstall")
    assert any(step.startswith("switch to the scene ") for step in steps)
    assert obs.request("GetCurrentProgramScene")["currentProgramSceneName"] in ("Neon", "Sketch", "Plain")
    obs.request("SetStudioModeEnabled", {"studioModeEnabled": False})
    obs.request("SetCurrentProgramScene", {"sceneName": "Neon"})
    assert studio.running


def test_a_broken_off_installation_is_completed(phosphene, obs):
    announced = phosphene.steps("install")
    order = item_names(obs, names.SCENE)
    for scene, name in (
        (names.SCENE, names.PICTURE),
        (names.SCENE, "phosphene"),
        (names.BUTTONS_SCENE, "Phosphene > next"),
    ):
        remove_item(obs, scene, name)
    record = json.loads(phosphene.record.read_text())
    for made in record["made"]:
        made["whole"] = made["name"] != names.FALLBACK_TEXT  # ended between making and placing it
    phosphene.record.write_text(json.dumps(record))
    item = {"sceneName": names.SCENE, "sceneItemId": 2}
    moved = {**item, "sceneItemTransform": {"positionX": 1.0}}
    obs.request("SetSceneItemTransform", moved)

    assert phosphene.steps("install") == [
        f"place '{names.FALLBACK_TEXT}' in '{names.SCENE}'",
        *(step for step in announced if f"'{names.PICTURE}'" in step or "'phosphene'" in step),
        *(step for step in announced if "'Phosphene > next'" in step),
    ]
    assert item_names(obs, names.SCENE) == order
    assert obs.request("GetSceneItemTransform", item)["sceneItemTransform"]["positionX"] == 160
    assert phosphene.steps("install") == []


def test_an_obs_that_crashed_is_given_the_kit_again(phosphene, studio):
    phosphene.obs("install")
    studio.kill()
    studio.start()
    phosphene.obs("install")
    assert phosphene.steps("install") == []
    assert json.loads(phosphene.obs("status", "--json"))["installed"] == "yes"


def test_without_obs_or_with_a_wrong_password_a_sentence_and_a_code(phosphene, studio):
    phosphene.configure(studio.port, "wrong-pass")
    for command in ("install", "uninstall", "status"):
        said = phosphene.obs(command, code=ExitCode.OBS)
        assert said.startswith("phosphene: OBS at ")
        assert "obs.password" in said
        assert "wrong-pass" not in said
        assert "Traceback" not in said
    phosphene.configure(1, studio.password)
    said = phosphene.obs("install", code=ExitCode.OBS)
    assert "no OBS answers at 127.0.0.1:1" in said
    assert "Enable WebSocket server" in said
    phosphene.configure(studio.port, studio.password)
