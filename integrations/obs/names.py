"""What the name of a text source in OBS says to Phosphene. (Push buttons: see `kit.names`.)

    phosphene                    its text is the prompt             (also: phosphene 2, phosphene (Sketch))
    phosphene:strength           … another value of the style

Names are unique in a collection of OBS, so a number or something in brackets may follow. Upper and lower case are
alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

FIELDS: Final[Mapping[str, str]] = {
    "prompt": "prompt",
    "negative": "negative_prompt",
    "negative prompt": "negative_prompt",
    "style": "style",
    "strength": "strength",
    "seed": "seed",
    "guidance": "guidance_scale",
    "guidance scale": "guidance_scale",
    "delta": "delta",
}
"""What may follow `phosphene:` in a text source's name → what it sets; `style` is a name of the bank."""

_TEXT: Final = re.compile(r"phosphene\s*(?::\s*([a-z_ ]+?))?\s*(?:\d+|\(.*\))?", re.IGNORECASE)


def is_text(kind: str) -> bool:
    """Whether an input of this kind is a text source (FreeType 2, GDI+, Pango)."""
    return kind.startswith("text_")


def field_of(name: str) -> str | None:
    """The value of a style that a text source of this name holds; None for any other source."""
    match = _TEXT.fullmatch(name.strip())
    if match is None:
        return None
    return FIELDS.get(match[1].lower().replace("_", " ")) if match[1] else "prompt"
