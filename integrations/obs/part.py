"""One thing that Phosphene does with OBS. All parts run on the integration's one thread, none of them at once."""

from __future__ import annotations

from typing import Any

from integrations.obs.connection import Connection
from pipeline.messages import Event

LONG_S = 3600.0


class Part:
    """Does nothing; each part overrides what it needs. A part outlives connections.

    OBS refusing a request ends the call that made it and nothing else; a lost connection ends the session.
    """

    def begin(self, obs: Connection) -> None:
        """A connection has been made, or OBS has loaded another scene collection: ask how things stand."""

    def heard(self, obs: Connection, name: str, data: dict[str, Any]) -> None:
        """An event of OBS."""

    def told(self, obs: Connection, event: Event) -> None:
        """An event of the control hub."""

    def tick(self, obs: Connection, now: float) -> float:
        """Do what is due at `now` (of `time.monotonic`); seconds until the next is."""
        return LONG_S

    def leave(self, obs: Connection) -> None:
        """The integration ends while OBS goes on: undo what must not stay."""

    def status(self) -> dict[str, Any]:
        """Facts for `phosphene status`, from any thread."""
        return {}
