"""A style of the bank, and the bank's order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator

from daemon.config.choice import fault
from daemon.config.value_types import Loras, Text
from integrations.hotkeys.keys import Combination
from pipeline.errors import PhospheneError
from pipeline.messages import GuidanceForm, Style
from pipeline.options import Options, setting

COLOURS = {
    "red": "#e5484d",
    "orange": "#f76b15",
    "yellow": "#e2b203",
    "green": "#30a46c",
    "teal": "#12a594",
    "blue": "#0090ff",
    "violet": "#8e4ec6",
    "pink": "#e93d82",
    "brown": "#a18072",
    "grey": "#8b8d98",
    "black": "#1c2024",
    "white": "#f9f9fb",
}
"""Names that may be written for a colour tag."""

T = TypeVar("T")


def _colour(given: Any) -> Any:
    """`#rrggbb`, or "" for none."""
    text = given.strip().lower() if isinstance(given, str) else None
    if text in ("", None) or text in COLOURS:
        return text if text is None else COLOURS.get(text, "")
    if match := re.fullmatch(r"#([0-9a-f]{3}|[0-9a-f]{6})", text):
        digits = match[1]
        return "#" + (digits if len(digits) == 6 else "".join(d * 2 for d in digits))
    raise fault(f"{given!r} is not a colour", f"write #rrggbb, or one of {', '.join(COLOURS)}")


def _keys(given: Any) -> Any:
    if not isinstance(given, str) or not given.strip():
        return given
    try:
        return str(Combination.parse(given))
    except PhospheneError as error:
        raise fault(error.message, error.mend) from None


Colour = Annotated[str, BeforeValidator(_colour)]
Hotkey = Annotated[str, BeforeValidator(_keys)]


class Look(Options):
    """What the engine paints: every value of a style that can change between two frames."""

    prompt: Text = setting(..., "what to paint", applies="live", max_length=4000)
    negative_prompt: Text = setting("", "what to keep away from", applies="live", max_length=4000)
    guidance: GuidanceForm = setting(
        "self", "none, full, or residual guidance (RCFG): self, onetime", applies="live"
    )
    guidance_scale: float = setting(
        1.0, "pull of the prompt; 1 and below: no guidance", applies="live", ge=0, le=30
    )
    delta: float = setting(1.0, "share of the virtual residual noise in RCFG", applies="live", ge=0, le=10)
    strength: float = setting(
        0.5,
        "0: the camera's own picture, 0.5: the steps of t_index_list, 1: all noise",
        applies="live",
        ge=0,
        le=1,
    )
    seed: int = setting(0, "of the noise; the same seed paints the same", applies="live", ge=0, le=2**32 - 1)
    loras: Loras = setting({}, "LoRAs of this style, as {file or hub id: weight}", applies="live")


class StyleSettings(Look):
    """A named look of the bank, with what people find it by."""

    colour: Colour = setting("", "tag on the page and in lists: #rrggbb or a name", applies="live")
    hotkey: Hotkey = setting("", "global key that takes this style, as in ctrl+alt+1", applies="live")

    def named(self, name: str) -> Style:
        """The value that travels to the engine."""
        return Style(name=name, **{key: getattr(self, key) for key in Look.model_fields})


def style_name(given: Any) -> str:
    """`given`, if it can name a style. Raises the validation error that says what can."""
    name = str(given)
    if not re.fullmatch(r"[^\s\x00-\x1f:=,/][^\x00-\x1f:=,/]{0,63}", name) or not name.strip(". "):
        raise fault(f"{name!r} cannot name a style", "use 1 to 64 characters without : = , / or line breaks")
    return name


def in_order(styles: Mapping[str, T], first: Iterable[str]) -> dict[str, T]:
    """`styles` with those of `first` at the front; names of `first` that are no style are passed over."""
    front = [name for name in dict.fromkeys(first) if name in styles]
    return {name: styles[name] for name in (*front, *(name for name in styles if name not in front))}
