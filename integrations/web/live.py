"""What happens, as it happens: server-sent events, and a WebSocket that also takes commands."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from integrations.commands import to_json
from integrations.control import Control
from integrations.token_bucket import TokenBucket
from integrations.web.auth import same_secret
from integrations.web.body import parse_json, read_command
from integrations.web.errors import RefusedError, error_body
from integrations.web.hub import Hub, Listener
from integrations.web.limits import Limits, Seats
from pipeline.errors import PhospheneError
from pipeline.messages import to_dict

HEARTBEAT_S = 15.0
STATUS_S = 0.5
FIRST_MESSAGE_S = 5.0
WRONG_TOKEN, TOO_MANY, DAEMON_STOPS = 4401, 1013, 1001
"""WebSocket close codes; 4401: do not try again with this token."""


class Live:
    """Both push channels. drop: closes the connection of a client that does not read."""

    def __init__(
        self, control: Control, hub: Hub, *, token: str, limits: Limits, drop: Callable[[Scope], None]
    ) -> None:
        self._control, self._hub, self._token, self._limits, self._drop = control, hub, token, limits, drop
        self._seats = Seats(limits.listeners)
        self._status: tuple[float, str] = (-1.0, "")

    async def events(self, request: Request) -> Response:
        """GET /api/v1/events."""
        last = request.headers.get("last-event-id", "")
        after = int(last) if last.isascii() and last.isdigit() and len(last) < 16 else None
        return EventStream(self._hub, after, self._seats, self._limits.stalled_s, self._drop)

    async def socket(self, socket: WebSocket) -> None:
        """WS /api/v1/ws. First message: {"token": …}. Then {"type": "command", "id": …, "command": {…}}."""
        with contextlib.suppress(WebSocketDisconnect, OSError), self._seats.take() as seated:
            await socket.accept()
            if not seated:
                await socket.close(TOO_MANY, "Too many listeners.")
            elif not await self._authenticated(socket):
                await socket.close(
                    WRONG_TOKEN, "The first message must be {token: TOKEN}, with the daemon's token."
                )
            else:
                with self._hub.listener() as listener:
                    await self._converse(socket, listener)

    async def _authenticated(self, socket: WebSocket) -> bool:
        try:
            first = parse_json(await asyncio.wait_for(_text(socket), FIRST_MESSAGE_S))
        except (RefusedError, asyncio.TimeoutError, WebSocketDisconnect):
            return False
        given = first.get("token") if isinstance(first, dict) else None
        return isinstance(given, str) and same_secret(given, self._token)

    async def _converse(self, socket: WebSocket, listener: Listener) -> None:
        reading = asyncio.create_task(self._read(socket, listener))
        try:
            await self._write(socket, {"type": "state", "state": to_dict(self._control.state)})
            await self._write_text(socket, self._status_text())
            while not listener.ended:
                for event in await listener.next(STATUS_S):
                    await self._write(socket, {"type": "event", "event": event})
                    if event["kind"] == "state":
                        await self._write(socket, {"type": "state", "state": to_dict(self._control.state)})
                if not listener.ended:
                    await self._write_text(socket, self._status_text())
            if not reading.done():
                await asyncio.wait_for(socket.close(DAEMON_STOPS, "The daemon stops."), 0.5)
        except asyncio.TimeoutError:
            self._drop(socket.scope)
        except (WebSocketDisconnect, OSError):
            return
        finally:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading

    async def _read(self, socket: WebSocket, listener: Listener) -> None:
        """Commands until the client goes. They share the rate of one HTTP client."""
        bucket = TokenBucket(self._limits.requests_rate, self._limits.requests_burst)
        try:
            while True:
                text = await _text(socket)
                await self._write(socket, self._answer(text) if bucket.take() else _too_fast())
        except asyncio.TimeoutError:
            self._drop(socket.scope)
        except (WebSocketDisconnect, OSError):
            pass
        finally:
            listener.end()

    def _answer(self, text: str) -> dict[str, Any]:
        number = None
        try:
            message = parse_json(text)
            if not isinstance(message, dict) or message.get("type") != "command":
                raise RefusedError(
                    422, "There is no such message.", 'Send {"type": "command", "id": 1, "command": {…}}.'
                )
            number = message.get("id")
            state = self._control.submit(read_command(message.get("command")), "web")
        except (RefusedError, PhospheneError) as error:
            return {"type": "answer", "id": number, **error_body(error.message, error.mend)}
        return {"type": "answer", "id": number, "revision": state.revision, "state": to_dict(state)}

    def _status_text(self) -> str:
        """Made at most once in STATUS_S for all listeners together."""
        now = asyncio.get_running_loop().time()
        if now - self._status[0] > STATUS_S * 0.8:
            self._status = now, to_json({"type": "status", "status": self._control.status()}).decode()
        return self._status[1]

    async def _write(self, socket: WebSocket, message: dict[str, Any]) -> None:
        await self._write_text(socket, to_json(message).decode())

    async def _write_text(self, socket: WebSocket, text: str) -> None:
        await asyncio.wait_for(socket.send_text(text), self._limits.stalled_s)


async def _text(socket: WebSocket) -> str:
    message = await socket.receive()
    if message["type"] != "websocket.receive":
        raise WebSocketDisconnect(message.get("code", 1005))
    return message.get("text") or ""


def _too_fast() -> dict[str, Any]:
    return {"type": "answer", "id": None, **error_body("Too many commands.", "Send fewer than 200 a second.")}


class EventStream(Response):
    """text/event-stream of the hub's events, with a comment every HEARTBEAT_S."""

    def __init__(
        self, hub: Hub, after: int | None, seats: Seats, stalled_s: float, drop: Callable[[Scope], None]
    ) -> None:
        super().__init__(headers={"content-type": "text/event-stream", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._hub, self._after, self._seats, self._stalled_s, self._drop = hub, after, seats, stalled_s, drop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._seats.take() as seated, self._hub.listener(self._after) as listener:
            if not seated:
                raise RefusedError(503, "Too many listeners.", "Close one.", {"retry-after": "5"})
            gone = asyncio.create_task(_disconnected(receive, listener))
            try:
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                await self._send(send, b": phosphene\n\n")
                while not listener.ended:
                    events = await listener.next(HEARTBEAT_S)
                    text = b"".join(_event(event) for event in events) or b": still here\n\n"
                    await self._send(send, text)
                if not gone.done():
                    await self._send(send, b"", last=True)
            except asyncio.TimeoutError:
                self._drop(scope)
            except OSError:
                return
            finally:
                gone.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await gone

    async def _send(self, send: Send, body: bytes, *, last: bool = False) -> None:
        await asyncio.wait_for(
            send({"type": "http.response.body", "body": body, "more_body": not last}), self._stalled_s
        )


def _event(event: dict[str, Any]) -> bytes:
    kind = "".join(c for c in str(event["kind"]) if c.isalnum() or c in "-_")
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event["id"], kind.encode(), to_json(event))


async def _disconnected(receive: Receive, listener: Listener) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    listener.end()
