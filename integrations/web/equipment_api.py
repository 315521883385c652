"""Sources and sinks over HTTP: what there is, what is wrong with it, and choosing while the picture runs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from integrations.web.body import json_answer, read_json
from integrations.web.equipment import Equipment
from integrations.web.errors import RefusedError
from integrations.web.limits import Limits
from integrations.web.methods import methods
from integrations.web.origin import origin_of


class EquipmentApi:
    """Endpoints. equipment: None in a server without any."""

    def __init__(self, equipment: Equipment | None, limits: Limits) -> None:
        self._equipment, self._limits = equipment, limits
        self._one_at_a_time = asyncio.Lock()  # looking at devices opens them

    def routes(self, v1: str) -> list[BaseRoute]:
        return [
            methods(f"{v1}/devices", get=self.devices),
            methods(f"{v1}/source", post=self.set_source),
            methods(f"{v1}/sinks", get=self.sinks, post=self.add_sink),
            methods(f"{v1}/sinks/{{id}}", delete=self.remove_sink),
        ]

    async def devices(self, _: Request) -> Response:
        own = self._own()
        async with self._one_at_a_time:
            return json_answer(await asyncio.to_thread(own.devices))

    async def set_source(self, request: Request) -> Response:
        own, given = self._own(), await self._given(request, "source", "webcam:0")
        async with self._one_at_a_time:
            chosen = await asyncio.to_thread(own.set_source, given, origin_of(request))
        return json_answer({"source": chosen})

    async def sinks(self, _: Request) -> Response:
        return json_answer({"sinks": await asyncio.to_thread(self._own().sinks)})

    async def add_sink(self, request: Request) -> Response:
        own, given = self._own(), await self._given(request, "sink", "virtual_camera")
        async with self._one_at_a_time:
            return json_answer(
                {"sink": await asyncio.to_thread(own.add_sink, given, origin_of(request))}, 201
            )

    async def remove_sink(self, request: Request) -> Response:
        own, given = self._own(), request.path_params["id"]
        number = int(given) if given.isascii() and given.isdigit() and len(given) < 9 else -1
        async with self._one_at_a_time:
            if not await asyncio.to_thread(own.remove_sink, number, origin_of(request)):
                raise RefusedError(
                    404, f"There is no sink {given[:40]!r}.", "`GET /api/v1/sinks` lists them."
                )
        return json_answer({"sinks": await asyncio.to_thread(own.sinks)})

    def _own(self) -> Equipment:
        if self._equipment is None:
            raise RefusedError(404, "This server has no cameras.", "The daemon's own has.")
        return self._equipment

    async def _given(self, request: Request, key: str, example: str) -> str | Mapping[str, Any]:
        body = await read_json(request, self._limits)
        given = body.get(key) if isinstance(body, dict) else None
        if not (given and isinstance(given.get("kind") if isinstance(given, dict) else given, str)):
            raise RefusedError(422, f"The body names no {key}.", f'Send {{"{key}": "{example}"}}.')
        chosen: str | Mapping[str, Any] = given
        return chosen
