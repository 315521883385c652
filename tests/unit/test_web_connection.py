"""What is left of a connection once it is gone, and how often nonsense is spoken of."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
import struct

import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from integrations.web.connection import bounded_protocol
from integrations.web.limits import Limits
from integrations.web.server import Discreet, Server, listen


async def hello(request: object) -> PlainTextResponse:
    return PlainTextResponse("hello")


def left(protocol: type) -> int:
    gc.collect()
    return sum(type(known) is protocol for known in gc.get_objects())


async def answered_and_reset(port: int) -> None:
    """As a crashed browser's connection: one answer, then a reset."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert await asyncio.wait_for(reader.readuntil(b"hello"), 5)
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def test_nothing_is_kept_of_connections_that_were_reset():
    protocol = bounded_protocol(Limits())

    async def scenario() -> tuple[int, int]:
        started = asyncio.Event()
        config = uvicorn.Config(
            Starlette(routes=[Route("/", hello)]), http=protocol, log_config=None, timeout_keep_alive=300
        )
        bound = listen("127.0.0.1", 0)
        server = Server(config, started.set)
        serving = asyncio.create_task(server.serve([bound]))
        await asyncio.wait_for(started.wait(), 5)
        for _ in range(20):
            await answered_and_reset(bound.getsockname()[1])
        seen = left(protocol)
        for _ in range(100):
            if left(protocol) == 0:
                break
            await asyncio.sleep(0.02)
        found = left(protocol)
        server.should_exit = True
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(serving, 5)
        return seen, found

    seen, found = asyncio.run(scenario())
    assert seen > 0, "there was something to keep"
    assert found == 0


def test_a_warning_that_comes_again_and_again_is_said_once():
    discreet = Discreet()

    def record(level: int, text: str) -> logging.LogRecord:
        return logging.LogRecord("uvicorn.error", level, "", 0, text, None, None)

    said = [discreet.filter(record(logging.WARNING, "Invalid HTTP request received.")) for _ in range(50)]
    assert said == [True, *[False] * 49]
    assert discreet.filter(record(logging.WARNING, "another"))
    assert all(discreet.filter(record(logging.ERROR, "broken")) for _ in range(3))
    assert not discreet.filter(record(logging.INFO, "GET /?key=…"))
