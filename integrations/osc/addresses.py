"""OSC messages → commands.

    /phosphene/style NAME [SECONDS]              /phosphene/next, previous, random [SECONDS]
    /phosphene/blend NAME WEIGHT NAME WEIGHT …   /phosphene/undo, redo
    /phosphene/prompt TEXT [SECONDS]             /phosphene/styled, freeze, bypass, panic
    /phosphene/set/KEY VALUE                     /phosphene/playlist start | stop | pause | resume | skip | back
    /phosphene/seeds SEED WEIGHT …               /phosphene/do ACTION

A button that sends 1 when it goes down and 0 when it comes up acts once: a single argument of 0 (or False) does nothing
at an address that takes none. Addresses of `bind:` come first: a value there goes from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from integrations.actions import parse_action
from integrations.knobs import Knob, parse_target
from pipeline.errors import PhospheneError
from pipeline.messages import (
    BlendSeeds,
    BlendStyles,
    Command,
    RandomStyle,
    SetPrompt,
    SetStyle,
    SetValue,
    StepStyle,
)

ROOT = "/phosphene/"
LONGEST = 4000
"""Characters of a text argument."""

MEND = "docs/osc.md lists the addresses"


class Addresses:
    """bind: the configuration's own addresses."""

    def __init__(self, bind: Mapping[str, str]) -> None:
        self._own = {address: parse_target(text) for address, text in bind.items()}

    def command(self, address: str, arguments: Sequence[Any]) -> Command | None:
        """None where nothing is to be done (a button that came up). Raises PhospheneError."""
        own = self._own.get(address)
        if isinstance(own, Knob):
            return own.at(_number(address, arguments, 0))
        if own is not None:
            return own if _pressed(arguments) else None
        if not address.startswith(ROOT):
            raise PhospheneError(f"nothing is bound to {address[:80]!r}", f"bind it in osc.bind; {MEND}")
        name = address[len(ROOT) :]
        if name.startswith("set/"):
            return SetValue(name[4:], _value(address, arguments))
        return _known(address, name, arguments)


def _known(address: str, name: str, given: Sequence[Any]) -> Command | None:
    if name in ("style", "prompt"):
        text, over_s = _text(address, given, 0), _over(address, given, 1)
        return SetStyle(text, over_s) if name == "style" else SetPrompt(text, None, over_s)
    if name == "blend":
        return BlendStyles(_weights(address, given))
    if name == "seeds":
        return BlendSeeds(
            {str(int(float(seed))): weight for seed, weight in _weights(address, given).items()}
        )
    if name in ("do", "playlist"):
        text = _text(address, given, 0)
        return parse_action(text if name == "do" else f"playlist {text}")
    if name in ("next", "previous", "random"):
        if not _pressed(given):
            return None
        # A single 1 is a button that went down; a time is given beside it, or is no whole 1.
        over_s = (
            _over(address, given, 1)
            if len(given) > 1
            else 0.0
            if _is_button(given)
            else _over(address, given, 0)
        )
        return RandomStyle(over_s) if name == "random" else StepStyle(1 if name == "next" else -1, over_s)
    if name in ("undo", "redo", "styled", "resume", "freeze", "bypass", "panic"):
        return parse_action(name) if _pressed(given) else None
    raise PhospheneError(f"there is no address {address[:80]!r}", MEND)


def _pressed(given: Sequence[Any]) -> bool:
    return not (len(given) == 1 and isinstance(given[0], int | float) and not given[0])


def _is_button(given: Sequence[Any]) -> bool:
    return not given or given[0] in (1, True)


def _text(address: str, given: Sequence[Any], at: int) -> str:
    if len(given) <= at or not isinstance(given[at], str) or not given[at].strip():
        raise PhospheneError(f"{address} needs a text", MEND)
    if len(given[at]) > LONGEST:
        raise PhospheneError(f"{address}: the text is longer than {LONGEST} characters", "shorten it")
    text: str = given[at].strip()
    return text


def _number(address: str, given: Sequence[Any], at: int) -> float:
    if len(given) <= at or isinstance(given[at], str | bytes) or not isinstance(given[at], int | float):
        raise PhospheneError(f"{address} needs a number", MEND)
    return float(given[at])


def _over(address: str, given: Sequence[Any], at: int) -> float:
    return _number(address, given, at) if len(given) > at else 0.0


def _value(address: str, given: Sequence[Any]) -> str | float | int | bool:
    if len(given) != 1 or not isinstance(given[0], str | float | int | bool):
        raise PhospheneError(f"{address} needs one value", MEND)
    value = given[0]
    if isinstance(value, float):
        return round(value, 6)  # OSC's floats have 32 bits: 0.4 comes as 0.4000000059604645
    return value[:LONGEST] if isinstance(value, str) else value


def _weights(address: str, given: Sequence[Any]) -> dict[str, float]:
    if not given or len(given) % 2:
        raise PhospheneError(f"{address} needs names and weights in turn", MEND)
    return {str(given[n]): round(_number(address, given, n + 1), 6) for n in range(0, len(given), 2)}
