"""The Lua script, loaded by a real OBS: its hotkeys come out as commands."""

from __future__ import annotations

import json
import time

import pytest

from integrations.obs.custom_events import command_of
from integrations.obs.kit import lua_script, names
from pipeline.messages import SetMode, SetStyle, StepStyle
from tests.e2e.obs.obs_studio import MISSING, ObsStudio

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(bool(MISSING), reason=f"{MISSING} missing")]

STYLES = ('a "quoted" \\ name', "é ☃", "neon")


@pytest.fixture(scope="module")
def scripted(tmp_path_factory):
    """An OBS that has loaded the script, and a second one of other hotkeys that cannot use LuaJIT's ffi."""
    folder = tmp_path_factory.mktemp("scripted")
    scripts = [folder / "phosphene.lua", folder / "without_ffi.lua"]
    text = lua_script.script_text(STYLES)
    scripts[0].write_text(text)
    text = text.replace('pcall(require, "ffi")', "false, nil").replace('"phosphene.', '"without_ffi.')
    scripts[1].write_text(text)
    with ObsStudio(folder) as studio:
        collection = studio.settings_home / "obs-studio" / "basic" / "scenes" / "CI.json"
        data = json.loads(collection.read_text())
        data["modules"] = {"scripts-tool": [{"path": str(path), "settings": {}} for path in scripts]}
        collection.write_text(json.dumps(data))
        yield studio.start()


@pytest.fixture
def heard(scripted):
    events = []
    with scripted.connection(on_event=lambda name, data: events.append((name, data))) as obs:
        yield obs, events


def press(heard, hotkey, event, **wanted):
    """What OBS says after that hotkey: the first `event` with what is wanted."""
    obs, events = heard
    events.clear()
    obs.request("TriggerHotkeyByName", {"hotkeyName": hotkey})
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        for name, data in events:
            if name == event and all(data[key] == value for key, value in wanted.items()):
                return data
        time.sleep(0.01)
    return None


def test_obs_lists_every_hotkey(heard):
    hotkeys = heard[0].request("GetHotkeyList")["hotkeys"]
    wanted = {f"phosphene.style_{n}" for n in range(1, 10)}
    wanted |= {f"phosphene.{a}" for a in ("next", "previous", "bypass", "freeze", "panic", "resume")}
    assert wanted <= set(hotkeys)
    assert lua_script.HOTKEY in hotkeys


@pytest.mark.parametrize(
    ("hotkey", "command"),
    [
        ("next", StepStyle(1)),
        ("previous", StepStyle(-1)),
        ("style_1", SetStyle(STYLES[0])),
        ("style_2", SetStyle(STYLES[1])),
        ("style_3", SetStyle(STYLES[2])),
        ("bypass", SetMode("bypass", toggle=True)),
        ("freeze", SetMode("freeze", toggle=True)),
        ("panic", SetMode("panic", toggle=True)),
        ("resume", SetMode("styled")),
    ],
)
def test_a_hotkey_is_a_command_as_custom_events_take_it(heard, hotkey, command):
    data = press(heard, f"phosphene.{hotkey}", "CustomEvent")
    assert set(data) == {"phosphene"}
    assert command_of(data["phosphene"]) == command


def test_a_style_without_a_name_does_nothing_and_says_so(heard, scripted):
    assert press(heard, "phosphene.style_9", "CustomEvent") is None
    assert "style 9 has no name" in scripted.log


def test_the_settings_of_the_script_are_what_it_sends(scripted):
    """Names and seconds as its user wrote them, and hotkeys kept by OBS from one start to the next."""
    scripted.quit()
    collection = scripted.settings_home / "obs-studio" / "basic" / "scenes" / "CI.json"
    data = json.loads(collection.read_text())
    saved = data["modules"]["scripts-tool"][0]["settings"]
    assert {"phosphene.next", "phosphene.style_9", "phosphene.panic"} <= set(saved)
    saved |= {"style_9": "my style", "over_s": 1.5}
    collection.write_text(json.dumps(data))
    scripted.start()
    events = []
    with scripted.connection(on_event=lambda name, data: events.append((name, data))) as obs:
        sent = press((obs, events), "phosphene.style_9", "CustomEvent")
    assert command_of(sent["phosphene"]) == SetStyle("my style", 1.5)


def test_without_ffi_the_push_button_is_pressed(heard):
    obs, _ = heard
    hidden = {"inputKind": "color_source_v3", "sceneItemEnabled": False}
    items = {}
    for action in ("next", "bypass"):
        made = obs.request("CreateInput", {"sceneName": "Plain", "inputName": names.button(action), **hidden})
        items[action] = made["sceneItemId"]
    shown = "SceneItemEnableStateChanged"
    for action, item in items.items():
        for _ in range(2):  # whatever it was before
            assert press(heard, f"without_ffi.{action}", shown, sceneItemId=item, sceneItemEnabled=True)
            until(lambda item=item: is_shown(obs, item))
    assert press(heard, "without_ffi.panic", shown) is None  # there is no such button


def is_shown(obs, item):
    return obs.request("GetSceneItemEnabled", {"sceneName": "Plain", "sceneItemId": item})["sceneItemEnabled"]


def until(true):
    deadline = time.monotonic() + 3
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)
