"""One line of text becomes one command."""

import pytest

from integrations.actions import parse_action, seconds
from pipeline.errors import PhospheneError
from pipeline.messages import (
    BlendSeeds,
    BlendStyles,
    Mode,
    PlayList,
    RandomStyle,
    Redo,
    SetMode,
    SetPrompt,
    SetStyle,
    SetValue,
    StepStyle,
    Undo,
)


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("neon", SetStyle("neon")),
        (" style oil paint over 2s ", SetStyle("oil paint", 2.0)),
        ("neon over 500ms", SetStyle("neon", 0.5)),
        ("neon:0.7 anime:0.3 over 1min", BlendStyles({"neon": 0.7, "anime": 0.3}, 60.0)),
        ("next", StepStyle(1)),
        ("Previous over 1s", StepStyle(-1, 1.0)),
        ("random over 3", RandomStyle(3.0)),
        ("undo", Undo()),
        ("redo", Redo()),
        ("seeds 7:0.6 12", BlendSeeds({"7": 0.6, "12": 1.0})),
        ("playlist skip", PlayList("skip")),
        ("playlist of mine", SetStyle("playlist of mine")),
        ("resume", SetMode(Mode.STYLED)),
        ("styled", SetMode(Mode.STYLED)),
        ("bypass", SetMode(Mode.BYPASS, toggle=True)),
        ("panic", SetMode(Mode.PANIC, toggle=True)),
        ("set strength 0.4", SetValue("strength", "0.4")),
        ("prompt a jump over 2s", SetPrompt("a jump over 2s")),
    ],
)
def test_what_a_key_can_be_bound_to(text, command):
    assert parse_action(text) == command


@pytest.mark.parametrize("text", ["", "  ", "over 2s", "neon over soon", "set strength", "neon:much"])
def test_what_it_cannot(text):
    with pytest.raises(PhospheneError) as error:
        parse_action(text)
    assert error.value.mend


@pytest.mark.parametrize(("text", "value"), [("2s", 2.0), ("500ms", 0.5), ("1.5", 1.5), (".5m", 30.0)])
def test_times(text, value):
    assert seconds(text) == value
