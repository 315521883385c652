"""What an integration is given: it submits commands, hears events and reads the state; nothing else of the daemon."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from pipeline.messages import Command, Event, LiveState


class Control(Protocol):
    """The one command bus. Thread-safe; no call blocks on the pipeline."""

    @property
    def state(self) -> LiveState:
        """The state as last applied."""
        ...

    def submit(self, command: Command, origin: str) -> LiveState:
        """Apply one command at once; `origin` ("cli", "web", "obs", …) goes into the event.

        Raises PhospheneError when it cannot be applied (an unknown style, a value out of range): the state
        is then unchanged.
        """
        ...

    def prepare(self, prompts: Sequence[str]) -> None:
        """A hint: these prompts may be wanted soon; the engine encodes them ahead. Returns at once."""
        ...

    def subscribe(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Call `listener` for every event until the returned function is called. It must not block."""
        ...

    def status(self) -> dict[str, Any]:
        """Everything `phosphene status` prints, as plain values."""
        ...

    def styles(self) -> list[dict[str, Any]]:
        """The style bank in order, as plain values."""
        ...
