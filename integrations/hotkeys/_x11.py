"""X11: the server hands over just the keys that are grabbed, and says when another program has one already."""

from __future__ import annotations

import select
import threading
from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any, Final

from integrations.hotkeys.backend import Bound, Pressed
from integrations.hotkeys.keys import Combination
from pipeline.errors import PhospheneError

TICK_S: Final = 0.2

KEYSYMS: Final = {
    "space": "space", "enter": "Return", "tab": "Tab", "escape": "Escape", "backspace": "BackSpace",
    "delete": "Delete", "home": "Home", "end": "End", "page_up": "Prior", "page_down": "Next", "up": "Up",
    "down": "Down", "left": "Left", "right": "Right", "pause": "Pause", "print": "Print", "menu": "Menu",
    "scroll_lock": "Scroll_Lock", "insert": "Insert", "media_play": "XF86_AudioPlay", "media_next": "XF86_AudioNext",
    "media_previous": "XF86_AudioPrev",
}  # fmt: skip
"""Ours → X11's, where they differ by more than case."""


class X11Keys:
    """On the display of $DISPLAY."""

    def __init__(self) -> None:
        from Xlib import X, display
        from Xlib.error import DisplayError

        self._x = X
        try:
            self._display: Any = display.Display()
        except (DisplayError, OSError) as error:
            raise PhospheneError(
                f"the X11 display cannot be reached: {error}", "log in to a desktop session"
            ) from None
        self._root = self._display.screen().root
        self._modifiers = {
            "ctrl": X.ControlMask, "shift": X.ShiftMask, **self._where({"alt": "Alt_L", "super": "Super_L"}),
        }  # fmt: skip
        locks = self._where({"num": "Num_Lock", "scroll": "Scroll_Lock"})
        self._locks = sorted({0, X.LockMask, *locks.values()})
        self._bound: dict[tuple[int, int], Combination] = {}
        self._refused: list[Any] = []
        self._display.set_error_handler(lambda error, request: self._refused.append(error))

    def bind(self, keys: Mapping[Combination, str]) -> Bound:
        self._ungrab()
        problems: dict[Combination, str] = {}
        for combination in keys:
            code = self._keycode(combination.key)
            unknown = [name for name in combination.modifiers if not self._modifiers.get(name)]
            if not code or unknown:
                problems[combination] = f"this keyboard has no {unknown[0] if unknown else combination.key}"
                continue
            mask = sum(self._modifiers[name] for name in combination.modifiers)
            self._refused.clear()
            for extra in self._with_locks():
                self._root.grab_key(code, mask | extra, False, self._x.GrabModeAsync, self._x.GrabModeAsync)
            self._display.sync()
            if self._refused:
                for extra in self._with_locks():
                    self._root.ungrab_key(code, mask | extra)
                problems[combination] = "another program has grabbed it"
            else:
                self._bound[code, mask] = combination
        self._display.sync()
        return Bound(problems, f"X11 display {self._display.get_display_name()}")

    def serve(self, wake: threading.Event, pressed: Pressed) -> None:
        from Xlib.error import ConnectionClosedError

        try:
            while not wake.is_set():
                while self._display.pending_events():
                    event = self._display.next_event()
                    if event.type == self._x.KeyPress:
                        self._hear(event, pressed)
                    elif event.type == self._x.MappingNotify:
                        self._display.refresh_keyboard_mapping(event)
                select.select([self._display.fileno()], [], [], TICK_S)
        except (ConnectionClosedError, OSError, ValueError) as error:
            raise PhospheneError(f"the X11 display has gone: {error}", "log in again") from None

    def close(self) -> None:
        from Xlib.error import ConnectionClosedError

        try:
            self._ungrab()
            self._display.close()
        except (ConnectionClosedError, OSError):
            return

    # ------------------------------------------------------------ inside

    def _hear(self, event: Any, pressed: Pressed) -> None:
        held = event.state & sum({*self._modifiers.values()})
        if (combination := self._bound.get((event.detail, held))) is not None:
            pressed(combination)

    def _ungrab(self) -> None:
        for code, mask in self._bound:
            for extra in self._with_locks():
                self._root.ungrab_key(code, mask | extra)
        self._bound.clear()
        self._display.sync()

    def _with_locks(self) -> Iterable[int]:
        """A grab counts for one state of NumLock and CapsLock: every combination of them."""
        locks = [mask for mask in self._locks if mask]
        return {sum(some) for some in product(*((0, mask) for mask in locks))}

    def _keycode(self, key: str) -> int:
        from Xlib import XK

        name = KEYSYMS.get(key, key)
        if key.startswith("kp_"):
            name = f"KP_{key[3:]}"
        elif key[0] == "f" and key[1:].isdigit():
            name = key.upper()
        if name.startswith("XF86"):
            XK.load_keysym_group("xf86")
        sym = XK.string_to_keysym(name)
        return int(self._display.keysym_to_keycode(sym)) if sym else 0

    def _where(self, keys: Mapping[str, str]) -> dict[str, int]:
        """Name → bit of the modifier that a keysym's key is; 0 where none is."""
        from Xlib import XK

        found = dict.fromkeys(keys, 0)
        mapping = self._display.get_modifier_mapping()
        for name, keysym in keys.items():
            code = int(self._display.keysym_to_keycode(XK.string_to_keysym(keysym)))
            for bit, codes in enumerate(mapping):
                if code and code in codes:
                    found[name] = 1 << bit
        return found
