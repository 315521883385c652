"""The HTTP API's answers. `routes` lists every address; `openapi.py` describes them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Scope

from integrations.bank import Bank
from integrations.control import Control
from integrations.web import openapi
from integrations.web.auth import StreamKey
from integrations.web.bank_api import BankApi
from integrations.web.body import json_answer, read_command, read_json
from integrations.web.controls import controls
from integrations.web.equipment import Equipment
from integrations.web.equipment_api import EquipmentApi
from integrations.web.errors import RefusedError
from integrations.web.feed import Feed
from integrations.web.limits import Limits, Seats
from integrations.web.midi_api import Learn, MidiApi
from integrations.web.openapi_parts import PREFIX
from integrations.web.origin import origin_of
from integrations.web.pictures import Pictures
from integrations.web.playlist_api import Playing, PlaylistApi
from integrations.web.preview import CameraPictures, Preview
from integrations.web.prometheus import metrics_text
from integrations.web.streams import PictureStream, Snapshots, raw_allowed
from pipeline.messages import to_dict


@dataclass(frozen=True, slots=True)
class Extras:
    """What the daemon gives the server beside the control bus.

    config: the effective settings as plain values, secrets left out.
    reload: read the configuration again; returns facts for the answer. May read files (it is run in a worker
        thread). Raises PhospheneError when the new one is bad: the old one is then still in force.
    stop: begin to stop the daemon; returns at once.
    bank, pictures, playlist, equipment, midi: None in a server without them (their addresses then answer 404).
    """

    config: Callable[[], Mapping[str, Any]]
    reload: Callable[[], Mapping[str, Any]]
    stop: Callable[[], None]
    bank: Bank | None = None
    pictures: Pictures | None = None
    playlist: Playing | None = None
    equipment: Equipment | None = None
    midi: Learn | None = None


class Api:
    """Endpoints by address; all state belongs to what it is given."""

    def __init__(
        self,
        control: Control,
        preview: Preview | None,
        feed: Feed | None,
        *,
        camera: CameraPictures | None,
        camera_feed: Feed | None,
        stream_key: StreamKey,
        settings_schema: Mapping[str, Any],
        extras: Extras,
        limits: Limits,
        drop: Callable[[Scope], None],
    ) -> None:
        self._control, self._feed, self._stream_key = control, feed, stream_key
        self._camera, self._camera_feed = camera, camera_feed
        self._extras, self._limits, self._drop = extras, limits, drop
        self._schema = {"settings": settings_schema, "controls": controls(settings_schema)}
        self._openapi = openapi.document()
        self._streams = Seats(limits.streams)
        self._snapshots = Snapshots(preview, feed, limits) if preview and feed else None
        self._reloading = asyncio.Lock()
        self._parts = (
            BankApi(control, extras.bank, extras.pictures, limits),
            PlaylistApi(extras.playlist, extras.bank, limits),
            EquipmentApi(extras.equipment, limits),
            MidiApi(extras.midi, limits),
        )

    def routes(self) -> list[BaseRoute]:
        v1 = PREFIX
        return [
            Route("/healthz", self.healthz),
            Route("/readyz", self.readyz),
            Route("/metrics", self.metrics),
            Route("/snapshot.png", self.snapshot),
            Route("/stream.mjpeg", self.mjpeg),
            Route("/stream.jpegs", self.jpegs),
            Route("/camera.mjpeg", self.camera),
            Route(f"{v1}/status", self.status),
            Route(f"{v1}/state", self.state),
            Route(f"{v1}/config", self.config),
            Route(f"{v1}/schema", self.schema),
            Route(f"{v1}/openapi.json", self.openapi),
            Route(f"{v1}/commands", self.command, methods=["POST"]),
            Route(f"{v1}/reload", self.reload, methods=["POST"]),
            Route(f"{v1}/stop", self.stop, methods=["POST"]),
            Route(f"{v1}/stream-key", self.stream_key),
            Route(f"{v1}/stream-key/rotate", self.rotate, methods=["POST"]),
            *(route for part in self._parts for route in part.routes(v1)),
        ]

    async def healthz(self, _: Request) -> Response:
        return json_answer({"ok": True})

    async def readyz(self, _: Request) -> Response:
        engine = self._control.status().get("engine") or {}
        status = str(engine.get("status", "unknown"))
        facts = {"ready": status == "ready", "engine": status, "message": str(engine.get("message") or "")}
        return json_answer(facts, 200 if facts["ready"] else 503)

    async def metrics(self, _: Request) -> Response:
        streams = self._streams.taken
        return Response(metrics_text(self._control.status(), streams), media_type="text/plain; version=0.0.4")

    async def status(self, _: Request) -> Response:
        return json_answer(self._control.status())

    async def state(self, _: Request) -> Response:
        return json_answer(to_dict(self._control.state))

    async def config(self, _: Request) -> Response:
        return json_answer(self._extras.config())

    async def schema(self, _: Request) -> Response:
        return json_answer(self._schema)

    async def openapi(self, _: Request) -> Response:
        return json_answer(self._openapi)

    async def command(self, request: Request) -> Response:
        command = read_command(await read_json(request, self._limits))
        state = self._control.submit(command, origin_of(request))
        return json_answer({"revision": state.revision, "state": to_dict(state)})

    async def reload(self, _: Request) -> Response:
        if self._reloading.locked():
            raise RefusedError(
                409, "The configuration is being reloaded already.", "Wait until that is done."
            )
        async with self._reloading:
            facts = await asyncio.to_thread(self._extras.reload)
        state = self._control.state
        return json_answer({"revision": state.revision, "state": to_dict(state), "reload": facts})

    async def stop(self, _: Request) -> Response:
        # The answer leaves first: stopping closes this connection too.
        asyncio.get_running_loop().call_later(0.1, self._extras.stop)
        return json_answer({"stopping": True}, 202)

    async def stream_key(self, _: Request) -> Response:
        return json_answer(self._addresses())

    async def rotate(self, _: Request) -> Response:
        self._stream_key.rotate()
        return json_answer(self._addresses())

    def _addresses(self) -> dict[str, str]:
        key = self._stream_key.value
        return {"key": key, "mjpeg": f"/stream.mjpeg?key={key}", "jpegs": f"/stream.jpegs?key={key}"}

    async def snapshot(self, request: Request) -> Response:
        if self._snapshots is None:
            raise no_preview()
        return await self._snapshots.take(raw=raw_allowed(request))

    async def mjpeg(self, request: Request) -> Response:
        return self._stream(request, multipart=True)

    async def jpegs(self, request: Request) -> Response:
        return self._stream(request, multipart=False)

    async def camera(self, request: Request) -> Response:
        """The camera's own picture: with the token, where the settings allow it, and never in panic."""
        camera, feed = self._camera, self._camera_feed
        if camera is None or feed is None:
            raise no_preview()
        if (why := camera.refused()) is not None:
            raise RefusedError(403, why.message, why.mend)
        if request.method == "HEAD":
            return Response()
        return PictureStream(
            feed,
            multipart=True,
            raw=True,
            allowed=lambda: camera.refused() is None,
            seats=self._streams,
            stalled_s=self._limits.stalled_s,
            drop=self._drop,
        )

    def _stream(self, request: Request, *, multipart: bool) -> Response:
        if self._feed is None:
            raise no_preview()
        raw, key = raw_allowed(request), self._stream_key.value
        if request.method == "HEAD":
            return Response()
        return PictureStream(
            self._feed,
            multipart=multipart,
            raw=raw,
            # A rotated key ends the streams that were opened with the old one.
            allowed=lambda: raw or self._stream_key.fits(key),
            seats=self._streams,
            stalled_s=self._limits.stalled_s,
            drop=self._drop,
        )


def no_preview() -> RefusedError:
    return RefusedError(
        404, "There is no preview sink, so there is no picture.", "Add `preview` to `sinks:`."
    )
