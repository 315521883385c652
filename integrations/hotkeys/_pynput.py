"""Windows and macOS: pynput hears the whole keyboard and calls for the keys that are bound; it takes none away."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Mapping
from typing import Any, Final

from integrations.hotkeys.backend import Bound, Pressed
from integrations.hotkeys.keys import Combination
from pipeline.errors import PhospheneError

TICK_S: Final = 0.2

NAMES: Final = {
    "super": "cmd", "escape": "esc", "print": "print_screen", "media_play": "media_play_pause",
}  # fmt: skip
CHARACTERS: Final = {
    "minus": "-", "equal": "=", "comma": ",", "period": ".", "slash": "/", "semicolon": ";", "grave": "`",
}  # fmt: skip


class PynputKeys:
    """Needs on macOS that the program may watch the keyboard (System Settings, Privacy, Input Monitoring)."""

    def __init__(self) -> None:
        from pynput import keyboard

        self._keyboard: Any = keyboard
        self._listener: Any = None
        self._heard: queue.SimpleQueue[Combination] = queue.SimpleQueue()

    def bind(self, keys: Mapping[Combination, str]) -> Bound:
        self.close()
        problems: dict[Combination, str] = {}
        hot: list[Any] = []
        for combination in keys:
            text = spelled(combination)
            try:
                parsed = self._keyboard.HotKey.parse(text)
            except ValueError:
                problems[combination] = "this system's keyboard has no such key"
                continue
            hot.append(self._keyboard.HotKey(parsed, lambda c=combination: self._heard.put(c)))

        def each(method: str) -> Any:
            def told(key: Any) -> None:
                canonical = self._listener.canonical(key)
                for one in hot:
                    getattr(one, method)(canonical)

            return told

        self._listener = self._keyboard.Listener(on_press=each("press"), on_release=each("release"))
        self._listener.daemon = True
        self._listener.start()
        self._listener.wait()
        if sys.platform == "darwin" and not getattr(self._listener, "IS_TRUSTED", True):
            raise PhospheneError(
                "macOS does not let this program watch the keyboard",
                "allow it in System Settings, Privacy & Security, Input Monitoring",
            )
        return Bound(problems, "pynput")

    def serve(self, wake: threading.Event, pressed: Pressed) -> None:
        while not wake.is_set():
            if not self._listener.is_alive():
                raise PhospheneError("the keyboard is no longer heard", "log in again")
            try:
                pressed(self._heard.get(timeout=TICK_S))
            except queue.Empty:
                continue

    def close(self) -> None:
        if self._listener is not None:
            self._listener.stop()
            self._listener = None


def spelled(combination: Combination) -> str:
    """As pynput writes it: `<ctrl>+<alt>+1`."""
    key = combination.key
    if key.startswith("kp_"):
        last = key[3:]  # pynput tells a keypad's digit from the row's by no name
    else:
        last = CHARACTERS.get(key) or (key if len(key) == 1 else f"<{NAMES.get(key, key)}>")
    return "+".join([*(f"<{NAMES.get(name, name)}>" for name in combination.modifiers), last])
