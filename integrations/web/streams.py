"""The live picture over HTTP: multipart for browsers, bare JPEGs for OBS and ffmpeg, one PNG.

A reader that is slow gets fewer pictures, always the newest; one that does not read at all is dropped.
Nothing waits for a reader: each is sent to by its own task.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from integrations.web.errors import RefusedError
from integrations.web.feed import Feed, Reader
from integrations.web.limits import Limits, Seats
from integrations.web.preview import Picture, Preview
from pipeline.errors import SinkError

BOUNDARY = "phosphene"
REPEAT_S = 1.0
"""A picture that does not change is sent again this often, so that readers know the daemon lives."""

SNAPSHOT_S = 1.5
"""How long a snapshot waits for a picture."""


class PictureStream(Response):
    """Sends pictures until the client goes, stops reading for `stalled_s` seconds, or `allowed` says no.

    drop: called with the ASGI scope to close the connection of a client that does not read.
    """

    def __init__(
        self,
        feed: Feed,
        *,
        multipart: bool,
        raw: bool,
        allowed: Callable[[], bool],
        seats: Seats,
        stalled_s: float,
        drop: Callable[[Scope], None],
    ) -> None:
        kind = f"multipart/x-mixed-replace; boundary={BOUNDARY}" if multipart else "video/x-motion-jpeg"
        super().__init__(headers={"content-type": kind, "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._feed, self._multipart, self._raw, self._allowed = feed, multipart, raw, allowed
        self._seats, self._stalled_s, self._drop = seats, stalled_s, drop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._seats.take() as seated, self._feed.reader(raw=self._raw) as reader:
            if not seated:
                raise RefusedError(503, "Too many streams are open.", "Close one.", {"retry-after": "5"})
            gone = asyncio.create_task(_disconnected(receive, reader))
            try:
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                if self._multipart:
                    await self._send(send, f"--{BOUNDARY}\r\n".encode())
                async for chunk in self._chunks(reader, send):
                    await self._send(send, chunk)
                if not gone.done():
                    await self._send(send, b"", last=True)
            except asyncio.TimeoutError:
                self._drop(scope)
            except OSError:
                return  # the client went away in the middle of a picture
            finally:
                gone.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await gone

    async def _chunks(self, reader: Reader, send: Send) -> AsyncIterator[bytes]:
        while not reader.ended and self._allowed():
            # Empty sends wait until what was sent before has left: the picture is chosen after that.
            await self._send(send, b"")
            picture = await reader.next(REPEAT_S) or reader.newest()
            if reader.ended or not self._allowed():
                return
            if picture is None:
                continue
            yield part(picture) if self._multipart else picture.data

    async def _send(self, send: Send, body: bytes, *, last: bool = False) -> None:
        message: Message = {"type": "http.response.body", "body": body, "more_body": not last}
        await asyncio.wait_for(send(message), self._stalled_s)


def part(picture: Picture) -> bytes:
    """One part and the boundary after it: a browser shows a part only once it has seen its end."""
    head = (
        f"Content-Type: image/jpeg\r\nContent-Length: {len(picture.data)}\r\n"
        f"X-Number: {picture.number}\r\nX-Revision: {picture.revision}\r\nX-Captured: {picture.t_capture}\r\n\r\n"
    )
    return b"".join((head.encode("ascii"), picture.data, f"\r\n--{BOUNDARY}\r\n".encode("ascii")))


async def _disconnected(receive: Receive, reader: Reader) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    reader.end()


class Snapshots:
    """One PNG of the picture that is shown now. Made in a worker thread, one at a time."""

    def __init__(self, preview: Preview, feed: Feed, limits: Limits) -> None:
        self._preview, self._feed = preview, feed
        self._seats = Seats(limits.streams)
        self._one_at_a_time = asyncio.Lock()

    async def take(self, *, raw: bool) -> Response:
        """At full size, or, where the camera's own picture is not to be shown, from the stream's pictures.

        Raises RefusedError when no picture comes within SNAPSHOT_S.
        """
        with self._seats.take() as seated:
            if not seated:
                raise RefusedError(503, "Too many snapshots.", "Ask again later.", {"retry-after": "1"})
            async with self._one_at_a_time:
                png = await (self._shown() if raw else self._painted())
        return Response(png, media_type="image/png")

    async def _shown(self) -> bytes:
        try:
            return await asyncio.to_thread(self._preview.snapshot, SNAPSHOT_S)
        except SinkError as error:
            raise RefusedError(503, error.message, error.mend, {"retry-after": "1"}) from error

    async def _painted(self) -> bytes:
        with self._feed.reader(raw=False) as reader:
            picture = await reader.next(SNAPSHOT_S)
        if picture is None:
            message = "There is no painted picture now, and the stream key does not show the camera's own."
            raise RefusedError(503, message, "Ask with the token.", {"retry-after": "1"})
        return await asyncio.to_thread(as_png, picture.data)


def as_png(jpeg: bytes) -> bytes:
    """The same pixels as PNG. Raises RefusedError when the picture cannot be read."""
    import cv2
    import numpy as np

    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    ok, png = (
        cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1]) if image is not None else (False, None)
    )
    if not ok or png is None:
        raise RefusedError(503, "The newest picture could not be encoded.", "Ask again.")
    data: bytes = png.tobytes()
    return data


def raw_allowed(request: Request) -> bool:
    """Whether the request came with the token (the stream key never shows the camera's own picture)."""
    return bool(request.scope.get("phosphene.raw_allowed"))
