"""What the API asks about sources and sinks; the daemon's side is `daemon.equipment`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Equipment(Protocol):
    """Thread-safe. Each call may look at devices: not for an event loop's thread."""

    def devices(self) -> dict[str, Any]:
        """{"sources", "sinks", "cameras"}: each usable, or why not with what mends it; `phosphene devices`."""
        ...

    def set_source(self, given: str | Mapping[str, Any], origin: str) -> dict[str, Any]:
        """Take pictures from there from now on, until the daemon ends or config.yaml says another one. As in
        config.yaml: "webcam:0", or {"kind": …, …}. Returns it in its long form. Raises PhospheneError."""
        ...

    def sinks(self) -> list[dict[str, Any]]:
        """[{id, kind, status, …}], those of the configuration and those added since."""
        ...

    def add_sink(self, given: str | Mapping[str, Any], origin: str) -> dict[str, Any]:
        """Open one more. Returns it as in `sinks`. Raises PhospheneError."""
        ...

    def remove_sink(self, sink: int, origin: str) -> bool:
        """Close one by its id; False where there is none. Raises PhospheneError where it has to stay."""
        ...
