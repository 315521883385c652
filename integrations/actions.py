"""One line of text → one `Command`: what a hotkey, a MIDI pad, an OSC message or an OBS item can be bound to.

    neon                    a style of the bank            next, previous, random, undo
    neon over 2s            … reached over two seconds     styled (resume), bypass, freeze, panic
    neon:0.7 anime:0.3      a blend                        set strength 0.4
    prompt oil on canvas    free text                      redo
    seeds 7:0.6 12:0.4      noise of several seeds         playlist start, stop, pause, resume, skip, back

bypass and freeze are toggles: the same key goes back to styled. panic is left by `styled` or `resume` alone.
"""

from __future__ import annotations

import math
import re
from typing import get_args

from pipeline.errors import PhospheneError
from pipeline.messages import (
    BlendSeeds,
    BlendStyles,
    Command,
    Mode,
    Playing,
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

_OVER = re.compile(r"(?:^|\s+)over\s+(\S+)\s*$", re.IGNORECASE)
_TIME = re.compile(r"\s*([0-9]*\.?[0-9]+)\s*(ms|s|sec|min|m)?\s*", re.ASCII)
_PLAYING = {do: PlayList(do) for do in get_args(Playing)}
_UNITS = {"ms": 0.001, "s": 1.0, "sec": 1.0, "min": 60.0, "m": 60.0}


def seconds(text: str) -> float:
    """`2s`, `500ms`, `1.5`, `1min` in seconds. Raises PhospheneError."""
    match = _TIME.fullmatch(text)
    if match is None or not math.isfinite(float(match[1])):
        raise PhospheneError(f"{text!r} is not a time", "write for example 2s or 500ms")
    return float(match[1]) * _UNITS[match[2] or "s"]


def weights(words: list[str]) -> dict[str, float]:
    """`["neon:0.7", "anime"]` → {"neon": 0.7, "anime": 1.0}. Raises PhospheneError."""
    found: dict[str, float] = {}
    for word in words:
        name, colon, weight = word.rpartition(":")
        if not colon:
            name, weight = word, "1"
        try:
            found[name] = float(weight)
        except ValueError:
            raise PhospheneError(
                f"{word!r}: {weight!r} is not a weight", "write for example neon:0.7 anime:0.3"
            ) from None
    return found


def parse_action(text: str) -> Command:
    """The command that `text` stands for. Whether the style exists is seen when it is submitted.

    Raises PhospheneError with what may be written.
    """
    text = text.strip()
    first, _, rest = text.partition(" ")
    if first.lower() == "prompt" and rest.strip():
        return SetPrompt(rest.strip())  # a prompt may well end in "over 2s"
    if first.lower() == "set":
        key, _, value = rest.strip().partition(" ")
        if not key or not value.strip():
            raise PhospheneError(f"{text!r} says no key and value", "write for example: set strength 0.4")
        return SetValue(key, value.strip())
    over_s = 0.0
    if match := _OVER.search(text):
        over_s, text = seconds(match[1]), text[: match.start()].strip()
    if not text:
        raise PhospheneError("an action is empty", "write a style's name, or next, bypass, panic, …")
    word = text.lower()
    if word in ("next", "previous"):
        return StepStyle(1 if word == "next" else -1, over_s)
    if word == "random":
        return RandomStyle(over_s)
    if word in ("undo", "redo"):
        return Undo() if word == "undo" else Redo()
    if word.startswith("seeds "):
        return BlendSeeds(weights(text[6:].split()))
    if word.startswith("playlist ") and (do := word[9:].strip()) in _PLAYING:
        return _PLAYING[do]
    if word in ("styled", "resume"):
        return SetMode(Mode.STYLED)
    if word in ("bypass", "freeze", "panic"):
        return SetMode(Mode(word), toggle=True)
    if word.startswith("style "):
        text = text[6:].strip()
    if ":" in text:
        return BlendStyles(weights(text.split()), over_s)
    return SetStyle(text, over_s)
