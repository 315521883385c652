"""Scenes of a real OBS switch the style of a real daemon."""

from __future__ import annotations

import random
import time

import pytest

from pipeline.messages import SetStyle, SetValue
from tests.e2e.obs.running_daemon import until

pytestmark = pytest.mark.e2e


def test_a_cut_switches_at_once(daemon, desk):
    revision = daemon.revision
    desk.to("Neon")
    took = until(lambda: daemon.style.name == "neon", 1.0)
    desk.to("Sketch")
    until(lambda: daemon.style.name == "pencil", 1.0)
    desk.to("Plain")  # says nothing: the style is kept
    until(lambda: daemon.obs()["scene"] == "Plain")
    states = daemon.states_since(revision)
    assert [state["style"]["name"] for state in states] == ["neon", "pencil"]
    assert [state["morph_s"] for state in states] == [0.0, 0.0]
    until(lambda: daemon.host.status()["metrics"]["shown_revision"] == daemon.revision, 3.0)
    print(f"cut: {took * 1e3:.0f} ms from the request to the command")


def test_a_fade_is_followed_over_its_own_time(daemon, desk):
    desk.transition("Fade", 800)
    revision = daemon.revision
    began = desk.to("Neon")
    until(lambda: daemon.style.name == "neon", 1.0)
    elapsed = time.monotonic() - began
    assert abs(daemon.host.control.state.morph_s + elapsed - 0.8) < 0.4
    desk.idle()
    time.sleep(0.3)
    assert len(daemon.states_since(revision)) == 1, "its end must not change anything again"


def test_the_morph_counts_the_frames_in_flight(daemon, desk):
    daemon.submit(SetValue("t_index_list", [0, 16, 32, 45]))
    try:
        until(lambda: daemon.host.status()["metrics"]["shown_revision"] == daemon.revision, 20.0)
        time.sleep(1.0)
        desk.transition("Fade", 1500)
        status = daemon.host.status()
        fps, behind = status["metrics"]["fps_engine"], status["engine"]["frames_behind"]
        assert behind == (3 if status["engine"]["lanes"] == 1 else status["engine"]["lanes"] - 1)
        desk.to("Neon")
        until(lambda: daemon.style.name == "neon", 1.0)
        fps = min(fps, daemon.host.status()["metrics"]["fps_engine"])  # it may rise and fall in between
        assert 1.5 - behind / fps - 0.4 < daemon.host.control.state.morph_s < 1.5
    finally:
        desk.idle()
        daemon.submit(SetValue("t_index_list", [45]))


def test_a_scene_with_a_transition_of_its_own(daemon, desk):
    desk.ask(
        "SetSceneSceneTransitionOverride", sceneName="Sketch", transitionName="Fade", transitionDuration=600
    )
    desk.to("Sketch")
    until(lambda: daemon.style.name == "pencil", 1.0)
    assert 0.3 < daemon.host.control.state.morph_s <= 0.6
    desk.idle()
    time.sleep(0.7)
    desk.to("Neon")
    until(lambda: daemon.style.name == "neon", 1.0)
    assert daemon.host.control.state.morph_s == 0.0


def test_studio_mode(daemon, desk, monkeypatch):
    ahead = []
    prepare = daemon.host.control.prepare
    monkeypatch.setattr(
        daemon.host.control, "prepare", lambda prompts: (ahead.append(list(prompts)), prepare(prompts))
    )
    desk.text("Sketch", "phosphene (Sketch)", "a lighthouse in a storm")
    desk.transition("Fade", 1500)
    desk.ask("SetStudioModeEnabled", studioModeEnabled=True)
    time.sleep(0.3)
    revision = daemon.revision
    desk.ask("SetCurrentPreviewScene", sceneName="Sketch")
    until(lambda: ["a lighthouse in a storm"] in ahead, 2.0, lambda: ahead)
    assert daemon.revision == revision, "a preview changes nothing on air"
    began = time.monotonic()
    desk.ask("TriggerStudioModeTransition")
    until(lambda: daemon.style.prompt == "a lighthouse in a storm")
    elapsed = time.monotonic() - began
    assert elapsed < 1.3, "at its beginning and not at its end"
    assert abs(daemon.host.control.state.morph_s + elapsed - 1.5) < 0.5
    desk.idle()
    desk.ask("SetCurrentPreviewScene", sceneName="Neon")
    time.sleep(0.2)
    revision = daemon.revision
    desk.ask("SetStudioModeEnabled", studioModeEnabled=False)  # names the preview's scene for a moment
    time.sleep(1.5)
    assert daemon.states_since(revision) == []


def test_a_hand_on_the_t_bar_is_followed_at_its_end(daemon, desk):
    desk.transition("Fade", 600)
    desk.ask("SetStudioModeEnabled", studioModeEnabled=True)
    time.sleep(0.3)
    desk.ask("SetCurrentPreviewScene", sceneName="Neon")
    time.sleep(0.3)
    revision = daemon.revision
    for position in (0.1, 0.12, 0.15, 0.15, 0.2, 0.25, 0.25, 0.3):
        desk.ask("SetTBarPosition", position=position, release=False)
        time.sleep(0.15)
    assert daemon.states_since(revision) == []
    desk.ask("SetTBarPosition", position=1.0, release=True)
    until(lambda: daemon.style.name == "neon", 1.5)
    assert daemon.host.control.state.morph_s < 0.3


def test_a_t_bar_that_is_taken_back_changes_nothing(daemon, desk):
    desk.transition("Fade", 600)
    desk.ask("SetStudioModeEnabled", studioModeEnabled=True)
    time.sleep(0.3)
    desk.ask("SetCurrentPreviewScene", sceneName="Neon")
    time.sleep(0.3)
    revision = daemon.revision
    for position in (0.1, 0.2, 0.2, 0.1):
        desk.ask("SetTBarPosition", position=position, release=False)
        time.sleep(0.2)
    desk.ask("SetTBarPosition", position=0.0, release=True)
    time.sleep(1.5)
    assert daemon.states_since(revision) == [], "Plain is what is seen"
    desk.ask("SetStudioModeEnabled", studioModeEnabled=False)
    on_air = {"Neon": "neon", "Plain": "anime"}[desk.ask("GetCurrentProgramScene")["currentProgramSceneName"]]
    until(lambda: daemon.style.name == on_air, 1.5)


def test_leaving_and_coming_back_by_hand(daemon, desk):
    """A style chosen by hand stays until the next scene, whatever is polled."""
    desk.to("Neon")
    until(lambda: daemon.style.name == "neon")
    daemon.submit(SetStyle("oil"))
    time.sleep(1.5)
    assert daemon.style.name == "oil"
    desk.to("Plain")
    desk.to("Neon")
    until(lambda: daemon.style.name == "neon")


def test_a_rename_is_no_change_of_scene(daemon, desk):
    desk.make_scene("Neon two")
    desk.to("Neon two")
    until(lambda: daemon.style.name == "neon")
    daemon.submit(SetStyle("oil"))
    revision = daemon.revision
    desk.ask("SetSceneName", sceneName="Neon two", newSceneName="Neon three")
    until(lambda: daemon.obs()["scene"] == "Neon three", 2.0)
    time.sleep(0.6)
    assert daemon.states_since(revision) == []
    desk.ask("SetSceneName", sceneName="Neon three", newSceneName="Sketch two")
    until(lambda: daemon.obs()["scene"] == "Sketch two", 2.0)
    assert daemon.style.name == "oil"


def test_a_scene_removed_on_air_in_studio_mode_leaves_obs_alive(daemon, desk, studio):
    """OBS 29 has no scene on air then, and `GetCurrentProgramScene` from anybody ends it."""
    desk.make_scene("Gone soon")
    desk.to("Gone soon")
    desk.ask("SetStudioModeEnabled", studioModeEnabled=True)
    time.sleep(0.3)
    desk.ask("RemoveScene", sceneName="Gone soon")
    time.sleep(2.5)  # two polls at least
    assert studio.running
    assert daemon.obs()["status"] == "connected"
    desk.to("Neon")
    until(lambda: daemon.style.name == "neon", 2.0)


def test_two_hundred_rapid_switches(daemon, desk):
    chance = random.Random(5)
    for _ in range(200):
        desk.to(chance.choice(["Neon", "Sketch", "Plain"]))
        time.sleep(chance.choice([0.0, 0.001, 0.01]))
    desk.to("Neon")
    until(lambda: daemon.style.name == "neon", 1.5)
    desk.transition("Fade", 300)
    for _ in range(30):
        desk.to(chance.choice(["Neon", "Sketch", "Plain"]))
        time.sleep(0.01)
    began = desk.to("Sketch")
    until(lambda: daemon.style.name == "pencil", 1.5)
    time.sleep(max(0.0, began + 1.5 - time.monotonic()))
    assert daemon.style.name == "pencil"
    assert daemon.obs()["scene"] == "Sketch"
