"""Comes back to OBS for ever: whatever OBS does, it is found again, and status says in words how things stand."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Any, Final

from integrations.control import Control
from integrations.obs.connection import Connection, open_connection
from integrations.obs.errors import AuthFailedError, LostError, ObsError, UnreachableError
from integrations.obs.inbox import Ended, Inbox, ObsEvent
from integrations.obs.options import Options
from integrations.obs.part import Part
from integrations.obs.server import Server, find_server
from integrations.obs.session import run_session

log = logging.getLogger(__name__)

FIRST_S: Final = 0.25
MOST_S: Final = 5.0  # an OBS that is started is found within this time
REFUSED_MOST_S: Final = 60.0  # OBS may tell its user of each wrong password; a changed one is tried at once
LOOK_S: Final = 1.0  # between two looks at whether the password has changed
CALM_S: Final = 10.0  # a connection of this length starts the back-off over


class ObsIntegration:
    """See `integrations.integration.Integration`. Parts keep what they know from one connection to the next."""

    def __init__(self, options: Options, control: Control, parts: Sequence[Part] = ()) -> None:
        self._options, self._control, self._parts = options, control, tuple(parts)
        self._inbox = Inbox()
        self._state, self._detail = "disconnected", ""
        self._error: ObsError | None = None
        self._facts: dict[str, Any] = {}
        self._connections = 0

    def run(self, halt: threading.Event) -> None:
        unsubscribe = self._control.subscribe(self._inbox.put)
        try:
            attempt = 0
            while not halt.is_set():
                server, began = find_server(self._options), time.monotonic()
                try:
                    self._one_connection(server, halt)
                except ObsError as error:
                    self._ended(error, server)
                if time.monotonic() - began > CALM_S:
                    attempt = 0
                self._wait(attempt, server, halt)
                attempt += 1
        finally:
            unsubscribe()
            self._is("disconnected", "")

    def status(self) -> dict[str, Any]:
        """The contract's keys, the connections made, and what each part says."""
        error = self._error
        facts: dict[str, Any] = {
            "status": self._state,
            "detail": self._detail,
            "error": error.message if error else None,
            "mend": error.mend or None if error else None,
            "connections": self._connections,
            **self._facts,
        }
        for part in self._parts:
            facts |= part.status()
        return facts

    # ------------------------------------------------------------ one connection

    def _one_connection(self, server: Server, halt: threading.Event) -> None:
        if self._state != "auth_failed":
            self._is("connecting", f"to {server.address}")
        self._inbox.clear()
        with open_connection(
            server,
            on_event=lambda name, data: self._inbox.put(ObsEvent(name, data)),
            on_end=lambda: self._inbox.put(Ended()),
            halted=halt.is_set,
        ) as obs:
            self._connections += 1
            self._error = None
            self._is("not_ready", f"OBS at {server.address} is loading")
            run_session(obs, self._parts, self._inbox, halt, lambda good: self._ready(obs, server, good))
        if not halt.is_set():
            self._is("disconnected", "OBS has been quit")
            log.info("OBS has been quit")

    def _ready(self, obs: Connection, server: Server, good: bool) -> None:
        if good and self._state != "connected":
            version = obs.request("GetVersion")
            self._facts = {
                "obs": version.get("obsVersion", ""),
                "obs_websocket": version.get("obsWebSocketVersion", ""),
            }
            said = f"OBS {self._facts['obs']} at {server.address}"
            log.info("connected to %s, obs-websocket %s", said, self._facts["obs_websocket"])
            self._is("connected", said)
        elif not good and self._state == "connected":
            self._is("not_ready", f"OBS at {server.address} is loading")

    def _ended(self, error: ObsError, server: Server) -> None:
        if isinstance(error, AuthFailedError):
            if self._state != "auth_failed":
                log.warning("%s", error)
            self._error = error
            self._is("auth_failed", "")
        elif isinstance(error, UnreachableError):
            # No OBS yet is no error; it is waited for. A server that is off is one, and has a mend.
            self._error = error if error.mend else None
            self._is("disconnected", error.message if not error.mend else "")
        else:
            log.info("%s", error.message) if isinstance(error, LostError) else log.warning("%s", error)
            self._is("disconnected", error.message)

    def _is(self, state: str, detail: str) -> None:
        self._state, self._detail = state, detail
        if state != "connected":
            self._facts = {}

    # ------------------------------------------------------------ between two

    def _wait(self, attempt: int, server: Server, halt: threading.Event) -> None:
        most = REFUSED_MOST_S if self._state == "auth_failed" else MOST_S
        again = time.monotonic() + min(most, FIRST_S * 2.0 ** min(attempt, 20))
        while (left := again - time.monotonic()) > 0 and not halt.wait(min(left, LOOK_S)):
            if find_server(self._options) != server:
                return
