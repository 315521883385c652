"""OBS's hotkeys and other tools drive the daemon, and hear from it."""

from __future__ import annotations

import ctypes
import io
import threading
import time

import pytest

from pipeline.messages import Mode, SetMode, SetStyle
from tests.e2e.obs.running_daemon import until

pytestmark = pytest.mark.e2e


def mode(daemon):
    return daemon.host.control.state.mode


# ---------------------------------------------------------------- hotkeys


def test_a_hotkey_shows_an_item_and_the_style_follows(daemon, desk):
    desk.colour("Plain", "My light")
    desk.ask("TriggerHotkeyByName", hotkeyName="libobs.show_scene_item.My light")
    until(lambda: daemon.style.name == "neon", 1.0)
    assert daemon.host.control.state.morph_s == 1.0
    daemon.submit(SetStyle("oil"))
    desk.ask("TriggerHotkeyByName", hotkeyName="libobs.hide_scene_item.My light")
    time.sleep(0.3)
    assert daemon.style.name == "oil"


def test_an_item_named_for_it_is_a_button(daemon, desk):
    item = desk.colour("Sketch", "Phosphene > next")
    names = [style["name"] for style in daemon.host.control.styles()]
    for step in (1, 2, 3):
        desk.ask("TriggerHotkeyByName", hotkeyName="libobs.show_scene_item.Phosphene > next")
        until(lambda step=step: daemon.style.name == names[names.index("anime") + step], 1.0)
        until(lambda: not desk.is_shown("Sketch", item), 1.0)  # it springs back


def test_shown_and_hidden_are_a_switch(daemon, desk):
    item = desk.colour("Plain", "My fan")
    desk.show("Plain", item)
    until(lambda: mode(daemon) is Mode.FREEZE, 1.0)
    desk.show("Plain", item, False)
    until(lambda: mode(daemon) is Mode.STYLED, 1.0)


def test_panic_is_left_on_purpose(daemon, desk):
    bypass, panic, resume = (desk.colour("Plain", f"Phosphene > {a}") for a in ("bypass", "panic", "resume"))
    for wanted in (Mode.BYPASS, Mode.STYLED):
        desk.show("Plain", bypass)
        until(lambda wanted=wanted: mode(daemon) is wanted, 1.0)
        until(lambda: not desk.is_shown("Plain", bypass), 1.0)
    desk.show("Plain", panic)
    until(lambda: mode(daemon) is Mode.PANIC, 1.0)
    desk.show("Plain", bypass)
    until(lambda: daemon.obs()["error"], 1.0)
    assert mode(daemon) is Mode.PANIC, "no toggle leaves panic"
    desk.show("Plain", resume)
    until(lambda: mode(daemon) is Mode.STYLED, 1.0)
    until(lambda: daemon.host.status()["sinks"][0]["showing"] == "styled", 15.0)


def test_a_filter(daemon, desk):
    for name in ("My light", "Phosphene > previous"):
        desk.ask(
            "CreateSourceFilter", sourceName="Plain color", filterName=name, filterKind="color_filter_v2"
        )
        desk.ask("SetSourceFilterEnabled", sourceName="Plain color", filterName=name, filterEnabled=False)
    time.sleep(0.2)
    daemon.submit(SetStyle("anime"))
    desk.ask("SetSourceFilterEnabled", sourceName="Plain color", filterName="My light", filterEnabled=True)
    until(lambda: daemon.style.name == "neon", 1.0)
    daemon.submit(SetStyle("comic"))
    desk.ask(
        "SetSourceFilterEnabled",
        sourceName="Plain color",
        filterName="Phosphene > previous",
        filterEnabled=True,
    )
    until(lambda: daemon.style.name == "anime", 1.0)

    def sprung_back():
        found = desk.ask("GetSourceFilter", sourceName="Plain color", filterName="Phosphene > previous")
        return not found["filterEnabled"]

    until(sprung_back, 1.0)
    for name in ("My light", "Phosphene > previous"):
        desk.ask("RemoveSourceFilter", sourceName="Plain color", filterName=name)


# ---------------------------------------------------------------- custom events


def test_custom_events_are_commands_and_are_announced_once(daemon, desk):
    revision = daemon.revision
    desk.broadcast({"phosphene": {"command": "style", "name": "jade", "over_s": 0.5}})
    until(lambda: daemon.style.name == "jade", 1.0)
    desk.broadcast({"phosphene": "bronze over 1s"})
    until(lambda: daemon.style.name == "bronze", 1.0)
    desk.broadcast({"phosphene": {"command": "set", "key": "strength", "value": 0.4}})
    until(lambda: daemon.style.strength == 0.4, 1.0)
    daemon.submit(SetMode(Mode.FREEZE))
    daemon.submit(SetMode(Mode.STYLED))
    until(lambda: len(desk.custom("phosphene_event")) >= 5, 10)
    time.sleep(0.3)
    announced = desk.custom("phosphene_event")
    told = [
        (event["revision"] - revision, event["style"], event["mode"], event["origin"]) for event in announced
    ]
    assert told == [
        (1, "jade", "styled", "obs"),
        (2, "bronze", "styled", "obs"),
        (3, "bronze", "styled", "obs"),
        (4, "bronze", "freeze", "cli"),
        (5, "bronze", "styled", "cli"),
    ], "each change once: our own events are not acted on"


BAD = (
    None,
    [],
    7,
    True,
    "",
    "no such style over 2s",
    {"command": "dance"},
    {"command": "style"},
    {"command": "style", "name": "jade", "over_s": "soon"},
    {"command": "style", "name": "jade", "extra": 1},
    {"command": "set", "key": "strength", "value": 7},
    {"command": "set", "key": "obs.password", "value": "x"},
    {"command": "prompt", "prompt": "x" * 9000},
    {"a": {"b": {"c": [[[[[[{}]]]]]]}}},
)


def test_bad_payloads_are_answered_and_hurt_nothing(daemon, desk):
    revision = daemon.revision
    for payload in BAD:
        desk.heard.clear()
        desk.broadcast({"phosphene": payload})
        until(lambda: desk.custom("phosphene_event"), 2.0, lambda payload=payload: payload)
        (answer,) = desk.custom("phosphene_event")
        assert answer["kind"] == "error"
        assert answer["message"]
    assert daemon.revision == revision
    assert daemon.obs()["status"] == "connected"


def test_a_flood_of_bad_events_is_answered_in_moderation(daemon, desk):
    before = daemon.painted()
    for _ in range(500):
        desk.broadcast({"phosphene": "?"})
    desk.broadcast({"phosphene_event": {"phosphene": "jade"}, "other": 1})
    time.sleep(1.0)
    assert len(desk.custom("phosphene_event")) - 1 < 60
    assert daemon.painted() > before
    time.sleep(1.0)
    desk.broadcast({"phosphene": "jade"})
    until(lambda: daemon.style.name == "jade", 1.0)


# ---------------------------------------------------------------- back to OBS


def test_the_overlay_follows_the_style(daemon, desk):
    from PIL import Image

    desk.text("Plain", "Phosphene overlay", "–")

    def shown():
        return desk.ask("GetInputSettings", inputName="Phosphene overlay")["inputSettings"]["text"]

    until(lambda: shown() == "anime", 2.0)
    pictures = []
    for style in ("neon", "van-gogh"):
        daemon.submit(SetStyle(style))
        until(lambda style=style: shown() == style, 1.0)
        time.sleep(0.3)
        pictures.append(Image.open(io.BytesIO(picture(desk, "Plain"))).convert("RGB"))
    assert pictures[0].tobytes() != pictures[1].tobytes()
    desk.broadcast({"phosphene": {"command": "prompt", "prompt": "a small boat"}})
    until(lambda: shown() == "a small boat", 1.0)


def picture(desk, source):
    import base64

    data = desk.ask("GetSourceScreenshot", sourceName=source, imageFormat="png")["imageData"]
    return base64.b64decode(data.split(",", 1)[1])


# ---------------------------------------------------------------- lip sync


@pytest.fixture
def microphone(daemon, desk):
    """An input with sound, 40 ms late already, and a daemon that is told to keep it with the picture."""
    desk.make("Plain", "Mic", "ffmpeg_source", {"is_local_file": False, "input": ""})
    desk.ask("SetInputAudioSyncOffset", inputName="Mic", inputAudioSyncOffset=40)
    daemon.write_config({**daemon.section, "lip_sync": "Mic"})
    daemon.host.reload()
    yield lambda: desk.ask("GetInputAudioSyncOffset", inputName="Mic")["inputAudioSyncOffset"]
    daemon.write_config(daemon.section)
    daemon.host.reload()
    until(lambda: daemon.obs()["status"] == "connected", 5.0)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_sound_is_as_late_as_the_picture_and_gets_its_own_offset_back(daemon, desk, microphone):
    until(lambda: microphone() != 40, 8.0, daemon.obs)
    latency = daemon.host.status()["metrics"]["latency_ms"]["p50"]
    assert abs(microphone() - 40 - latency) < max(40.0, latency / 2)
    assert daemon.obs()["lip_sync"]["before_ms"] == 40

    # without a chance to undo it: the next one finds the note
    (victim,) = [thread for thread in threading.enumerate() if thread.name == "obs"]
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(victim.ident), ctypes.py_object(SystemExit))
    until(lambda: not victim.is_alive(), 3.0)
    assert microphone() != 40
    until(lambda: daemon.obs().get("lip_sync", {}).get("offset_ms"), 8.0, daemon.obs)
    assert daemon.obs()["lip_sync"]["before_ms"] == 40

    daemon.write_config(daemon.section)
    daemon.host.reload()
    until(lambda: microphone() == 40, 5.0)


def test_an_offset_set_by_hand_is_left_alone(daemon, desk, microphone):
    until(lambda: microphone() != 40, 8.0, daemon.obs)
    desk.ask("SetInputAudioSyncOffset", inputName="Mic", inputAudioSyncOffset=555)
    until(lambda: "by hand" in daemon.obs()["lip_sync"]["off"], 3.0)
    time.sleep(1.2)
    assert microphone() == 555
    daemon.write_config(daemon.section)
    daemon.host.reload()
    time.sleep(1.0)
    assert microphone() == 555
