"""A back end of mido that lives in memory: what a test sends is what the integration hears, through mido itself.

The real one (rtmidi) needs a MIDI system: on Linux ALSA's sequencer, which a container does not have.
"""

from __future__ import annotations

from typing import Any

from mido.ports import BaseInput

CONNECTED: dict[str, list[Any]] = {}
"""Controller → messages on their way."""


class Input(BaseInput):
    def _open(self, **_: Any) -> None:
        if self.name not in CONNECTED:
            raise OSError(f"unknown port {self.name!r}")
        self._waiting = CONNECTED[self.name]

    def _receive(self, block: bool = True) -> None:
        while self._waiting:
            self._messages.append(self._waiting.pop(0))


def get_devices(**_: Any) -> list[dict[str, Any]]:
    return [{"name": name, "is_input": True, "is_output": False} for name in CONNECTED]
