"""Names that the kit gives. OBS has one list of names for scenes, groups and sources; what ours mean when they are
met is in `integrations.obs.names`.
"""

from __future__ import annotations

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


def button(action: str) -> str:
    """The source whose item does `action` when it is shown."""
    return f"{PROMPT}: {action}"


def field_source(field: str) -> str:
    """The text source that sets `field` of a scene's look."""
    return f"{PROMPT}:{field}"
