"""Names in OBS that Phosphene gives and knows. OBS has one list of names for scenes, groups and sources.

A *push button* is a scene item whose source is called `Phosphene > ACTION`: once it is shown (by the hotkey that
OBS offers for every item), the action is carried out and the item is hidden again. It may lie in any scene.
"""

from __future__ import annotations

import re
from typing import Final

SCENE: Final = "Phosphene"
BUTTONS_SCENE: Final = "Phosphene hotkeys"
PICTURE: Final = "Phosphene picture"
FALLBACK: Final = "Phosphene fallback"
FALLBACK_TEXT: Final = "Phosphene fallback text"
PROMPT: Final = "phosphene"
PROMPT_FIELDS: Final = ("negative", "strength", "style")

BUTTONS: Final = ("next", "previous", "random", "undo", "bypass", "freeze", "panic", "resume")
"""Actions (see `integrations.actions`) that have a push button besides the styles."""

STYLE_BUTTONS: Final = 9
"""At most so many styles of the bank get one."""

_BUTTON: Final = re.compile(r"\s*phosphene\s*>\s*(\S.*?)\s*", re.IGNORECASE | re.DOTALL)


def button(action: str) -> str:
    """The source name of the push button of `action`."""
    return f"Phosphene > {action}"


def action_of(source: str) -> str | None:
    """The action that a source's name stands for, as in `Phosphene > neon over 1s`; None: it is no push button."""
    match = _BUTTON.fullmatch(source)
    return match[1] if match else None


def field_source(field: str) -> str:
    """The name of the text source that sets `field` of a scene's look."""
    return f"{PROMPT}:{field}"
