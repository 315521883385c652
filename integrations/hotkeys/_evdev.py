"""Raw keyboards on Linux, whatever the desktop: only where `backend: evdev` asks for it, because whoever may read
/dev/input sees every key. Nothing is grabbed: the program in front gets the keys too."""

from __future__ import annotations

import select
import threading
from collections.abc import Iterable, Mapping
from typing import Any, Final

from integrations.hotkeys.backend import Bound, Pressed
from integrations.hotkeys.keys import Combination
from pipeline.errors import PhospheneError

TICK_S: Final = 0.2
DOWN: Final = 1  # an event's value; 0: up, 2: repeated

MODIFIERS: Final = {
    "KEY_LEFTCTRL": "ctrl", "KEY_RIGHTCTRL": "ctrl", "KEY_LEFTALT": "alt", "KEY_LEFTSHIFT": "shift",
    "KEY_RIGHTSHIFT": "shift", "KEY_LEFTMETA": "super", "KEY_RIGHTMETA": "super",
}  # fmt: skip
NAMES: Final = {
    "escape": "ESC", "page_up": "PAGEUP", "page_down": "PAGEDOWN", "print": "SYSRQ", "scroll_lock": "SCROLLLOCK",
    "menu": "COMPOSE", "media_play": "PLAYPAUSE", "media_next": "NEXTSONG", "media_previous": "PREVIOUSSONG",
    "period": "DOT",
}  # fmt: skip


def key_name(key: str) -> str:
    """The kernel's name of one of our keys: `1` → KEY_1, `kp_1` → KEY_KP1."""
    return "KEY_" + NAMES.get(key, key.upper().replace("KP_", "KP"))


class Held:
    """Which modifiers are down, and what a key that goes down then means."""

    def __init__(self, keys: Iterable[Combination]) -> None:
        self._by_key = {(key_name(c.key), frozenset(c.modifiers)): c for c in keys}
        self._down: set[str] = set()

    def hear(self, name: str, value: int) -> Combination | None:
        """name: KEY_…; value: 1 down, 0 up, 2 repeated."""
        if name in MODIFIERS:
            (self._down.add if value else self._down.discard)(name)
            return None
        if value != DOWN:
            return None
        return self._by_key.get((name, frozenset(MODIFIERS[held] for held in self._down)))


class EvdevKeys:
    """Every keyboard that is there when the keys are bound."""

    def __init__(self) -> None:
        self._keyboards: dict[int, Any] = {}
        self._held = Held(())

    def bind(self, keys: Mapping[Combination, str]) -> Bound:
        import evdev

        self.close()
        codes = evdev.ecodes.ecodes
        problems = {c: "the kernel has no such key" for c in keys if key_name(c.key) not in codes}
        self._held = Held(c for c in keys if c not in problems)
        for path in evdev.list_devices():
            device = evdev.InputDevice(path)
            if codes["KEY_A"] in device.capabilities().get(codes["EV_KEY"], ()):
                self._keyboards[device.fd] = device
            else:
                device.close()
        if not self._keyboards:
            raise PhospheneError(
                "no keyboard in /dev/input can be read",
                "sudo usermod -aG input $USER, then log in again (it lets your programs read every key)",
            )
        names = ", ".join(device.name for device in self._keyboards.values())
        return Bound(problems, f"evdev: {names}")

    def serve(self, wake: threading.Event, pressed: Pressed) -> None:
        import evdev

        while not wake.is_set():
            ready, _, _ = select.select(list(self._keyboards), [], [], TICK_S)
            for fd in ready:
                try:
                    events = list(self._keyboards[fd].read())
                except OSError as error:  # unplugged
                    raise PhospheneError(
                        f"a keyboard has gone: {error.strerror}", "it is looked for again"
                    ) from None
                for event in events:
                    if event.type == evdev.ecodes.EV_KEY:
                        name = evdev.ecodes.KEY.get(event.code, "")
                        first = name[0] if isinstance(name, list | tuple) else name
                        if (combination := self._held.hear(first, event.value)) is not None:
                            pressed(combination)

    def close(self) -> None:
        for device in self._keyboards.values():
            device.close()
        self._keyboards.clear()
