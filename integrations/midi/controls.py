"""What a control is called in the configuration, and what a message says of it.

cc 7          a knob or fader (control change)        note 36       a pad or key
pitch         the pitch wheel                         program 3     a program button
cc 7 ch 2     … of one channel (1 to 16) only
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pipeline.errors import PhospheneError

_NAME = re.compile(r"(?:(cc|note|program)\s*(\d{1,3})|(pitch))(?:\s*ch\s*(\d{1,2}))?", re.IGNORECASE)

HALF = 0.5
"""A knob that stands for an action acts when it passes this from below: a button that sends control changes."""


def control_name(text: str) -> str:
    """`text` in the one way of writing it. Raises PhospheneError."""
    match = _NAME.fullmatch(text.strip())
    number = int(match[2]) if match and match[2] else 0
    channel = int(match[4]) if match and match[4] else 1
    if match is None or number > 127 or not 1 <= channel <= 16:
        raise PhospheneError(
            f"{text!r} is no MIDI control", "write for example: cc 7, note 36, pitch, cc 7 ch 2"
        )
    name = "pitch" if match[3] else f"{match[1].lower()} {number}"
    return f"{name} ch {channel}" if match[4] else name


@dataclass(frozen=True, slots=True)
class Moved:
    """name: without its channel (1 to 16). position: from 0 to 1. pressed: whether it went down (a pad, a button)."""

    name: str
    channel: int
    position: float
    pressed: bool

    @property
    def names(self) -> tuple[str, str]:
        """As it may be bound, the narrower one first."""
        return f"{self.name} ch {self.channel}", self.name


def moved(message: Any) -> Moved | None:
    """Of a mido message; None for those that come from no control (clock, sysex, aftertouch, …)."""
    kind = message.type
    if kind == "control_change":
        return Moved(f"cc {message.control}", message.channel + 1, message.value / 127, False)
    if kind in ("note_on", "note_off"):
        velocity = message.velocity if kind == "note_on" else 0
        return Moved(f"note {message.note}", message.channel + 1, velocity / 127, velocity > 0)
    if kind == "pitchwheel":
        return Moved("pitch", message.channel + 1, (message.pitch + 8192) / 16383, False)
    if kind == "program_change":
        return Moved(f"program {message.program}", message.channel + 1, 1.0, True)
    return None
