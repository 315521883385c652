"""A key combination as people write it: `ctrl+alt+1`, `super+f5`, `pause`. Every back end translates from here."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipeline.errors import PhospheneError

MODIFIERS = ("ctrl", "alt", "shift", "super")
"""In the order in which they are written."""

_MODIFIER_WORDS = {
    "ctrl": "ctrl", "control": "ctrl", "strg": "ctrl", "alt": "alt", "option": "alt", "shift": "shift",
    "super": "super", "win": "super", "cmd": "super", "command": "super", "meta": "super", "mod4": "super",
}  # fmt: skip

ALONE = frozenset(
    {"pause", "print", "scroll_lock", "insert", "media_play", "media_next", "media_previous", "menu"}
    | {f"f{n}" for n in range(1, 25)}
    | {f"kp_{n}" for n in range(10)}
)
"""Keys that may be taken without a modifier: nobody types with them."""

KEYS = frozenset(
    {"space", "enter", "tab", "escape", "backspace", "delete", "home", "end", "page_up", "page_down"}
    | {"up", "down", "left", "right", "minus", "equal", "comma", "period", "slash", "semicolon", "grave"}
    | set("abcdefghijklmnopqrstuvwxyz0123456789")
    | ALONE
)

_KEY_WORDS = {
    "esc": "escape", "return": "enter", "del": "delete", "ins": "insert", "pgup": "page_up", "break": "pause",
    "pageup": "page_up", "pgdn": "page_down", "pagedown": "page_down", "prtsc": "print", "scrolllock": "scroll_lock",
    "`": "grave", "-": "minus", "=": "equal", ",": "comma", ".": "period", "/": "slash", ";": "semicolon",
}  # fmt: skip

MEND = "write modifiers and one key, as in ctrl+alt+1, super+shift+n or f9"


@dataclass(frozen=True, slots=True)
class Combination:
    """modifiers: some of MODIFIERS, in that order. key: one of KEYS."""

    modifiers: tuple[str, ...]
    key: str

    @classmethod
    def parse(cls, text: str) -> Combination:
        """`ctrl+alt+1`, also as `<Ctrl><Alt>1` or `Control-Alt-1`. Raises PhospheneError."""
        words = [word for word in re.split(r"[+<>]+|(?<=\w)-(?=\w)", text.strip().lower()) if word.strip()]
        words = [word.strip().replace(" ", "_") for word in words]
        if not words:
            raise PhospheneError(f"{text!r} is not a key", MEND)
        *before, last = words
        key = _KEY_WORDS.get(last, last)
        unknown = [word for word in before if word not in _MODIFIER_WORDS]
        if unknown or key not in KEYS:
            what = unknown[0] if unknown else last
            raise PhospheneError(f"{text!r}: there is no {'modifier' if unknown else 'key'} {what!r}", MEND)
        held = {_MODIFIER_WORDS[word] for word in before}
        if not held - {"shift"} and key not in ALONE:
            raise PhospheneError(f"{text!r} would be taken from everything you type", MEND)
        return cls(tuple(name for name in MODIFIERS if name in held), key)

    def __str__(self) -> str:
        return "+".join((*self.modifiers, self.key))
