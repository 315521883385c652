"""One conversation with OBS over obs-websocket 5, on obsws-python (GPL-3.0), which is loaded only when a server
answers.

A command that wants a few answers and no events:

    with open_connection(find_server(options)) as obs:
        names = [scene["sceneName"] for scene in obs.request("GetSceneList")["scenes"]]

obsws-python finds the server and proves the password. Its request and event clients are not used: after a timeout
every answer of theirs belongs to the request before, they never notice a hung OBS, closing one can block for
ever, and they log the password. Here requests and events share one socket, read by one thread; an answer is known
by its number; and a connection that has failed once is closed and never used again.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import queue
import socket
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final

from integrations.obs.errors import (
    AuthFailedError,
    LostError,
    NotReadyError,
    RefusedRequestError,
    UnreachableError,
)
from integrations.obs.server import Server

CONNECT_S: Final = 0.9  # for each answer while a connection is made; an integration must end within a second
ANSWER_S: Final = 3.0  # for a request; OBS hangs when it takes longer
SLICE_S: Final = 0.1  # how soon a waiting request sees that its thread is asked to end

NO_EVENTS: Final = 0
EVENTS: Final = 1 | 2 | 4 | 8 | 16 | 32 | 64 | 128 | 1024
"""Subscriptions: general, config, scenes, inputs, transitions, filters, outputs, scene items, user interface."""

NOT_READY: Final = 207
AUTH_FAILED: Final = 4009

OnEvent = Callable[[str, dict[str, Any]], None]


def open_connection(
    server: Server,
    *,
    on_event: OnEvent | None = None,
    on_end: Callable[[], None] = lambda: None,
    halted: Callable[[], bool] = lambda: False,
) -> Connection:
    """Connect and identify. Raises UnreachableError, AuthFailedError.

    on_event(name, data): each event as OBS sends it, on the reading thread: it must return at once.
    on_end: called once on that thread when the connection has ended. halted: makes a waiting request give up.
    """
    _anybody_there(server)
    client = _client(server, EVENTS if on_event else NO_EVENTS)
    return Connection(client, on_event, on_end, halted)


class Connection:
    """Requests from one thread, its owner's. A context manager."""

    def __init__(
        self, client: Any, on_event: OnEvent | None, on_end: Callable[[], None], halted: Callable[[], bool]
    ) -> None:
        self._client, self._on_event, self._on_end, self._halted = client, on_event, on_end, halted
        self._numbers = itertools.count(1)
        self._answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._broken = False
        client.ws.settimeout(None)
        self._reader = threading.Thread(target=self._read, name="obs-reader", daemon=True)
        self._reader.start()

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        """Whether it has neither failed nor been closed by OBS."""
        return not self._broken and self._reader.is_alive()

    def request(
        self, name: str, data: Mapping[str, Any] | None = None, *, answer_s: float = ANSWER_S
    ) -> dict[str, Any]:
        """The answer's `responseData`, {} where it has none.

        Raises RefusedRequestError (OBS says no; the connection stays good), NotReadyError (OBS is loading; so it
        does), LostError (closed, hung or halted; this connection is of no more use).
        """
        if self._broken:
            raise LostError("the connection to OBS has ended")
        number = str(next(self._numbers))
        message = {"op": 6, "d": {"requestType": name, "requestId": number, "requestData": dict(data or {})}}
        try:
            self._client.ws.send(json.dumps(message))
            answer = self._wait_for(number, name, time.monotonic() + answer_s)
        except BaseException as error:
            self._broken = True
            if isinstance(error, _socket_errors()):
                raise LostError(f"the connection to OBS broke ({type(error).__name__})") from error
            raise
        status = answer["requestStatus"]
        if status["result"]:
            found: dict[str, Any] = answer.get("responseData") or {}
            return found
        if status["code"] == NOT_READY:
            raise NotReadyError(name)
        raise RefusedRequestError(name, status["code"], status.get("comment") or "")

    def last_words(self, seconds: float) -> None:
        """Let requests be answered for so long yet, although the thread is asked to end."""
        until = time.monotonic() + seconds
        self._halted = lambda: time.monotonic() > until

    def _wait_for(self, number: str, name: str, deadline: float) -> dict[str, Any]:
        while True:
            if self._halted():
                raise LostError(f"gave up waiting for {name}")
            left = deadline - time.monotonic()
            if left <= 0:
                raise LostError(f"OBS has not answered {name} in time: it hangs")
            try:
                answer = self._answers.get(timeout=min(left, SLICE_S))
            except queue.Empty:
                continue
            if answer is None:
                raise LostError("OBS closed the connection")
            if answer["requestId"] == number:
                return answer

    def _read(self) -> None:
        """The reading thread: until the socket ends. Nothing that arrives may end it sooner."""
        expected: tuple[type[BaseException], ...] = (*_socket_errors(), ValueError, KeyError, TypeError)
        try:
            while text := self._client.ws.recv():
                message = json.loads(text)
                said, data = message["op"], message["d"]
                if said == 7:
                    self._answers.put(data)
                elif said == 5 and self._on_event is not None:
                    self._on_event(data["eventType"], data.get("eventData") or {})
        except expected as error:
            logging.getLogger(__name__).debug("the connection to OBS ended: %s", type(error).__name__)
        finally:
            self._answers.put(None)
            self._on_end()

    def close(self) -> None:
        """Give back socket and thread. Does not wait for OBS, which may hang."""
        self._broken = True
        _cut(self._client)
        if self._reader is not threading.current_thread():
            self._reader.join(1.0)
        with contextlib.suppress(Exception):
            self._client.ws.shutdown()


def _anybody_there(server: Server) -> None:
    """One SYN to see whether anything listens: where there is no OBS, this is all that it costs."""
    try:
        socket.create_connection((server.host, server.port), CONNECT_S).close()
    except OSError as error:
        if server.off_in:
            raise UnreachableError(
                f"OBS's WebSocket server is off (as {server.off_in} says)",
                "in OBS: Tools → WebSocket Server Settings → Enable WebSocket server",
            ) from error
        raise UnreachableError(f"no OBS answers at {server.address}") from error


def _client(server: Server, subscriptions: int) -> Any:
    """An identified `obsws_python.baseclient.ObsClient`; on failure its socket is given back."""
    ObsClient = _library()
    client = ObsClient.__new__(ObsClient)
    try:
        client.__init__(
            host=_bracketed(server.host),
            port=server.port,
            password=server.password,
            subs=subscriptions,
            timeout=CONNECT_S,
        )
        client.authenticate()
    except Exception as error:
        _cut(client)
        with contextlib.suppress(Exception):
            client.ws.shutdown()
        hello = getattr(client, "server_hello", None)
        if type(error).__name__ == "OBSSDKError" and hello and "authentication" in hello.get("d", {}):
            raise AuthFailedError(server) from None  # its text and its cause may hold the password
        if isinstance(error, (*_socket_errors(), ValueError, KeyError, TypeError)) or hello:
            raise UnreachableError(
                f"what listens at {server.address} does not answer as OBS does ({type(error).__name__})"
            ) from None
        raise
    return client


def _library() -> Any:
    """obsws-python's client class, silenced: it logs passwords and a traceback for every refused connection."""
    logging.getLogger("obsws_python").setLevel(logging.CRITICAL + 1)
    from obsws_python.baseclient import ObsClient

    return ObsClient


def _socket_errors() -> tuple[type[BaseException], ...]:
    """Whatever a dying socket raises. Only called once the library is loaded."""
    from websocket import WebSocketException

    return (OSError, WebSocketException)


def _cut(client: Any) -> None:
    """End the socket under a thread that reads it."""
    with contextlib.suppress(OSError, AttributeError):
        client.ws.sock.shutdown(socket.SHUT_RDWR)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
