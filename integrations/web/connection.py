"""uvicorn's HTTP connection, bounded: how many there are, and how long a request's head may take."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from integrations.web.limits import Limits


def cut(transport: asyncio.Transport) -> None:
    """Close the connection at once and throw away what the system still keeps for it."""
    raw = transport.get_extra_info("socket")
    if raw is not None and not transport.is_closing():
        linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()


def bounded_protocol(limits: Limits) -> type[H11Protocol]:
    """The protocol class for these limits: `connections` at most, `header_s` seconds for a request's head."""

    class BoundedProtocol(H11Protocol):
        _deadline: asyncio.TimerHandle | None = None
        _refused = False

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            if len(self.server_state.connections) >= limits.connections:
                self._refused = True
                cut(transport)
                return
            self.access_log = False  # it would write addresses with their query, and so the stream key
            super().connection_made(transport)
            self._expect_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._head_arrived()
            if not self._refused:
                super().connection_lost(exc)
                # uvicorn leaves the timer of a connection that was reset, and with it all of the connection's memory.
                self._unset_keepalive_if_required()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.cycle is not None and not self.cycle.response_complete:
                self._head_arrived()
            elif self.transport.get_protocol() is self:
                self._expect_head()

        def handle_websocket_upgrade(self, event: Any) -> None:
            self._head_arrived()
            super().handle_websocket_upgrade(event)

        def on_response_complete(self) -> None:
            self._head_arrived()
            super().on_response_complete()
            if self.conn.trailing_data[0]:
                self._expect_head()

        def _expect_head(self) -> None:
            if self._deadline is None:
                self._deadline = self.loop.call_later(limits.header_s, self._too_late)

        def _head_arrived(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

        def _too_late(self) -> None:
            self._deadline = None
            if not self.transport.is_closing():
                cut(self.transport)

    return BoundedProtocol
