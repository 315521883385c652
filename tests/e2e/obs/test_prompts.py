"""Prompts are written inside OBS."""

from __future__ import annotations

import time

import pytest

from pipeline.messages import SetStyle, SetValue
from tests.e2e.obs.running_daemon import until

pytestmark = pytest.mark.e2e


def test_text_sources_are_the_prompt_hidden_or_not(daemon, desk):
    desk.text("Sketch", "phosphene", "a lighthouse\nin a storm", shown=False)
    desk.text("Sketch", "phosphene:negative", "people")
    desk.text("Sketch", "phosphene:strength (Sketch)", "0.8", shown=False)
    before = daemon.style.strength
    revision = daemon.revision
    desk.to("Sketch")
    until(lambda: daemon.style.prompt == "a lighthouse in a storm", 1.0)
    state = daemon.states_since(revision)
    assert len(state) == 1, "all in one step"
    assert (daemon.style.negative_prompt, daemon.style.strength) == ("people", 0.8)
    assert "'phosphene'" in daemon.obs()["style_from"]
    desk.text("Plain", "phosphene 2", "a fox")
    desk.to("Plain")
    until(lambda: daemon.style.prompt == "a fox", 1.0)
    assert (daemon.style.negative_prompt, daemon.style.strength) == ("", before), (
        "Sketch's values are its own"
    )


def test_typing_is_taken_over_when_it_rests(daemon, desk):
    desk.text("Plain", "phosphene", "a")
    until(lambda: daemon.style.prompt == "a", 2.0)
    daemon.submit(SetValue("strength", 0.31))
    revision, text = daemon.revision, ""
    for letter in "a red fox in the snow":
        text += letter
        desk.write("phosphene", text)
        time.sleep(0.04)
    took = until(lambda: daemon.style.prompt == text, 2.0)
    assert len(daemon.states_since(revision)) <= 3
    assert daemon.style.strength == 0.31, "an edit leaves what was set by hand"
    desk.write("phosphene", "")  # empty says nothing
    time.sleep(1.2)
    assert daemon.style.prompt == text
    print(f"a finished edit is applied after {took * 1e3:.0f} ms")


def test_a_style_by_name_with_a_value_over_it(daemon, desk):
    desk.text("Sketch", "phosphene:style", "Jade")
    desk.text("Sketch", "phosphene:seed", "7")
    desk.to("Sketch")
    until(lambda: daemon.style.name == "jade", 1.0)
    assert daemon.style.seed == 7
    desk.write("phosphene:style", "no such style")
    until(lambda: daemon.obs()["error"], 3.0)
    assert "no such style" in daemon.obs()["error"]
    assert daemon.style.name == "jade"
    desk.write("phosphene:style", "bronze")
    until(lambda: daemon.style.name == "bronze", 3.0)
    assert daemon.obs()["error"] is None


def test_a_bad_value_does_not_cost_the_prompt(daemon, desk):
    desk.text("Sketch", "phosphene", "a green door")
    desk.text("Sketch", "phosphene:strength", "lots")
    desk.to("Sketch")
    until(lambda: daemon.style.prompt == "a green door", 1.0)
    assert "strength" in daemon.obs()["error"]


def test_groups_and_nested_scenes(daemon, desk, studio):
    desk.make_scene("Prompts")
    desk.text("Prompts", "phosphene", "from a nested scene")
    item = desk.ask("CreateSceneItem", sceneName="Sketch", sourceName="Prompts")["sceneItemId"]
    desk.to("Sketch")
    until(lambda: daemon.style.prompt == "from a nested scene", 1.0)
    desk.write("phosphene", "edited in there")
    until(lambda: daemon.style.prompt == "edited in there", 2.0)
    desk.ask("RemoveSceneItem", sceneName="Sketch", sceneItemId=item)
    until(lambda: daemon.style.name == "pencil", 2.0)  # what obs.scenes says of Sketch


def test_a_source_that_comes_and_goes(daemon, desk):
    desk.to("Neon")
    until(lambda: daemon.style.name == "neon")
    desk.text("Neon", "phosphene", "a blue horse")
    until(lambda: daemon.style.prompt == "a blue horse", 2.0)
    daemon.submit(SetStyle("oil"))
    desk.ask("RemoveInput", inputName="phosphene")
    until(lambda: daemon.style.name == "neon", 2.0)
