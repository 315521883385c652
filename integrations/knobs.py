"""What a knob, fader or pad of an outside controller stands for: a live value over a range, or an action.

strength              a value over its usual range        neon over 1s     an action, when it is pressed
guidance_scale 1..2   … over one of your own               panic
strength 1..0         … the other way round
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

from integrations.action_setting import fault
from integrations.actions import parse_action
from pipeline.errors import PhospheneError
from pipeline.messages import Command, SetValue

RANGES = {
    "strength": (0.0, 1.0),
    "guidance_scale": (0.0, 3.0),
    "delta": (0.0, 2.0),
    "steadiness": (0.0, 1.0),
    "similarity_threshold": (0.8, 0.999),
    "max_skip_frames": (0.0, 60.0),
    "seed": (0.0, 127.0),
}
"""Live values that a knob can turn, with the range that is useful."""

WHOLE = frozenset({"seed", "max_skip_frames"})

_KNOB = re.compile(r"(?P<key>[a-z_]+)(?:\s+(?P<low>-?[0-9]*\.?[0-9]+)\s*\.\.\s*(?P<high>-?[0-9]*\.?[0-9]+))?")


@dataclass(frozen=True, slots=True)
class Knob:
    """A live value over [low, high]; low may be the larger one."""

    key: str
    low: float
    high: float

    def at(self, position: float) -> SetValue:
        """The command for a position from 0 to 1; what lies outside is taken for the end."""
        value = self.low + (self.high - self.low) * min(max(position, 0.0), 1.0)
        return SetValue(self.key, round(value) if self.key in WHOLE else round(value, 4))


Target = Knob | Command


def parse_target(text: str) -> Target:
    """Raises PhospheneError with what may be written."""
    text = text.strip()
    match = _KNOB.fullmatch(text)
    if match is not None and (match["key"] in RANGES or match["low"] is not None):
        if match["key"] not in RANGES:
            raise PhospheneError(
                f"{match['key']!r} cannot be turned by a knob", f"use one of {', '.join(RANGES)}"
            )
        low, high = RANGES[match["key"]]
        return Knob(
            match["key"], *((float(match["low"]), float(match["high"])) if match["low"] else (low, high))
        )
    return parse_action(text)


def _target(text: str) -> str:
    try:
        parse_target(text)
    except PhospheneError as error:
        raise fault(error.message, error.mend) from error
    return text


TargetText = Annotated[str, AfterValidator(_target)]
"""A setting: one line, see above."""
