"""The daemon's HTTP server: put together here, run in the host's own event loop, stopped within a second."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import socket
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route, WebSocketRoute
from starlette.types import Scope

from integrations.control import Control
from integrations.web.api import Api, Extras
from integrations.web.auth import StreamKey
from integrations.web.connection import bounded_protocol, cut
from integrations.web.errors import HANDLERS
from integrations.web.feed import Feed
from integrations.web.guard import Guard
from integrations.web.hub import Hub
from integrations.web.limits import Limits
from integrations.web.live import Live
from integrations.web.openapi_parts import PREFIX
from integrations.web.page_files import PageFiles
from integrations.web.preview import CameraPictures, Preview
from pipeline.errors import PhospheneError

SEND_BUFFER = 256 * 1024
"""Bytes the system keeps for a reader; more would only be older pictures."""

HEAD_BYTES = 32 * 1024
"""Of a request's line and headers."""

GRACE_S = 0.3
"""Seconds that answers in flight get when the server stops."""


def build_app(
    control: Control,
    preview: Preview | None,
    *,
    camera: CameraPictures | None = None,
    token: str,
    stream_key: StreamKey,
    allowed_hosts: Collection[str] = (),
    settings_schema: Mapping[str, Any],
    extras: Extras,
    limits: Limits | None = None,
) -> Starlette:
    """The whole web interface as one ASGI application.

    preview: None when no preview sink is configured (the streams then answer 404 and say so).
    camera: the camera's own picture for before and after; None: there is none.
    allowed_hosts: host names beside the loopback names by which the daemon may be addressed.
    settings_schema: JSON schema of the settings, for the page's controls.
    """
    limits = limits or Limits()
    drop = Drop()
    feed = Feed(preview) if preview is not None else None
    camera_feed = Feed(camera.preview) if camera is not None else None
    hub = Hub(control, limits.event_queue)
    live = Live(control, hub, token=token, limits=limits, drop=drop)
    page = PageFiles()
    api = Api(
        control,
        preview,
        feed,
        camera=camera,
        camera_feed=camera_feed,
        stream_key=stream_key,
        settings_schema=settings_schema,
        extras=extras,
        limits=limits,
        drop=drop,
    )

    def close() -> None:
        hub.close()
        for open_feed in (feed, camera_feed):
            if open_feed is not None:
                open_feed.close()

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        hub.open()
        try:
            yield
        finally:
            close()

    app = Starlette(
        routes=[
            *api.routes(),
            Route(f"{PREFIX}/events", live.events),
            WebSocketRoute(f"{PREFIX}/ws", live.socket),
            *(Route(address, page.serve) for address in page.addresses),
        ],
        middleware=[
            Middleware(
                Guard,
                token=token,
                stream_key=stream_key,
                allowed_hosts=allowed_hosts,
                public=["/healthz", *page.addresses],
                socket_path=f"{PREFIX}/ws",
                limits=limits,
            )
        ],
        exception_handlers=HANDLERS,
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.close, app.state.drop, app.state.limits = close, drop, limits
    return app


class Drop:
    """Cuts the connection a request came in by. Knows the connections once `serve` runs."""

    def __init__(self) -> None:
        self.connections: Callable[[], Collection[Any]] = tuple

    def __call__(self, scope: Scope) -> None:
        for connection in tuple(self.connections()):
            if connection.client is not None and scope.get("client") == connection.client:
                cut(connection.transport)


WARN_EVERY_S: Final = 10.0


class Discreet(logging.Filter):
    """Lets uvicorn say only what is wrong: below a warning it writes addresses with their query (the stream
    key) and what is sent over a WebSocket (the token). A warning that comes again and again is said once in
    `WARN_EVERY_S`: whoever sends nonsense shall not fill the disk."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[object, float] = {}  # by the template of the message: there are few

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno != logging.WARNING:
            return record.levelno > logging.WARNING
        before, now = self._said.get(record.msg, -math.inf), time.monotonic()
        if now - before < WARN_EVERY_S:
            return False
        self._said[record.msg] = now
        return True


class Server(uvicorn.Server):
    """uvicorn in somebody else's loop: signals stay the daemon's."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()


class CannotListenError(PhospheneError):
    """The page's address is not to be had."""

    code: Final = 12  # daemon.exit_codes.ExitCode.ADDRESS


def listen(host: str, port: int) -> socket.socket:
    """A bound TCP socket. Raises CannotListenError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise CannotListenError(
            f"The web page cannot listen on {host!r}: {error.strerror}.", "Set `web.host`, as in 127.0.0.1."
        ) from error
    bound = socket.socket(family, kind, protocol)
    try:
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # Windows, where SO_REUSEADDR lets others take the port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        bound.bind(address)
        bound.listen(128)
        bound.setblocking(False)
    except OSError as error:
        bound.close()
        raise CannotListenError(
            f"The web page cannot listen on {host} port {port}: {error.strerror}.",
            "Set `web.port` to another port, or to 0 for any free one; `phosphene status` shows whether the "
            "daemon already runs.",
        ) from error
    return bound


async def serve(app: Starlette, host: str, port: int, on_bound: Callable[[int], None]) -> None:
    """Serve until cancelled; then every stream ends and the port is free within a second.

    port: 0 takes any free one. on_bound: called with the real port once requests are answered.
    Raises CannotListenError at once when it cannot.
    """
    bound = listen(host, port)
    limits: Limits = app.state.limits
    config = uvicorn.Config(
        app,
        http=bounded_protocol(limits),
        ws="websockets-sansio",
        ws_max_size=limits.body,
        ws_per_message_deflate=False,
        ws_ping_interval=20,
        ws_ping_timeout=20,
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        h11_max_incomplete_event_size=HEAD_BYTES,
        proxy_headers=False,  # X-Forwarded-For would let a client choose its address
        timeout_keep_alive=30,
        timeout_graceful_shutdown=2,
    )
    _discreet()
    server = Server(config, lambda: on_bound(bound.getsockname()[1]))
    app.state.drop.connections = lambda: server.server_state.connections
    running = asyncio.create_task(server.serve([bound]))
    try:
        await asyncio.shield(running)
    finally:
        app.state.close()
        server.should_exit = True
        await _finish(server, running)
        bound.close()


def _discreet() -> None:
    logger = logging.getLogger("uvicorn.error")
    if not any(isinstance(known, Discreet) for known in logger.filters):
        logger.addFilter(Discreet())


async def _finish(server: Server, running: asyncio.Task[None]) -> None:
    await asyncio.wait([running], timeout=GRACE_S)
    for connection in tuple(server.server_state.connections):
        cut(connection.transport)
    await asyncio.wait([running], timeout=3)
