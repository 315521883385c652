"""What the user's check refuses is never shown; the last picture that it let through is held instead."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from daemon.config.privacy_settings import SafetySettings
from pipeline.content_guard import ContentGuard, find_check
from pipeline.errors import EngineError

SEEN: list[np.ndarray] = []


def dark_only(image: np.ndarray) -> bool:
    SEEN.append(image)
    if image.mean() == 99:
        raise ValueError("cannot judge this")
    return bool(image.mean() < 128)


def picture(level: int) -> np.ndarray:
    return np.full((8, 8, 3), level, np.uint8)


@pytest.fixture
def said() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def guard(said) -> ContentGuard:
    return ContentGuard(find_check(f"{__name__}:dark_only"), lambda *what: said.append(what))


def test_a_refused_picture_becomes_the_last_good_one(guard, said):
    bright = picture(200)
    assert not guard.judge(bright), "there is nothing good to hold yet"
    good = picture(10)
    assert guard.judge(good)
    assert (good == 10).all()
    for level in (250, 200):
        shown = picture(level)
        assert guard.judge(shown)
        assert (shown == 10).all()
    assert guard.judge(picture(20))
    assert guard.withheld == 3
    assert [level for level, _ in said] == ["warning", "info", "warning", "info"]


def test_a_check_that_raises_has_refused_and_is_reported_once(guard, said):
    assert guard.judge(picture(10))
    for _ in range(3):
        shown = picture(99)
        assert guard.judge(shown)
        assert (shown == 10).all()
    assert [text for level, text in said if level == "error"] == [
        "the content check failed (ValueError: cannot judge this): that refuses"
    ]


def test_it_cannot_change_what_it_is_shown(guard):
    guard.judge(picture(10))
    with pytest.raises(ValueError, match="read-only"):
        SEEN[-1][0, 0] = 1


@pytest.mark.parametrize(
    "entry", ["no_such_module:f", "json:no_such_function", "json:__doc__", "tests.unit:missing"]
)
def test_a_check_that_cannot_be_loaded_stops_the_engine_and_not_the_check(entry):
    with pytest.raises(EngineError, match=r"safety\.check") as error:
        find_check(entry)
    assert "module:function" in error.value.mend


@pytest.mark.parametrize("entry", ["json", "json:", ":loads", "a b:c", "os;x:y", "../x:y"])
def test_only_names_are_accepted(entry):
    with pytest.raises(ValidationError):
        SafetySettings(check=entry)
