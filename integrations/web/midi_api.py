"""MIDI over HTTP: how it stands, what is bound, and learning a control."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from integrations.web.body import json_answer, read_json
from integrations.web.errors import RefusedError
from integrations.web.limits import Limits
from integrations.web.methods import methods
from integrations.web.origin import origin_of


class Learn(Protocol):
    """The daemon's side (`daemon.midi_learn`). Thread-safe; `bind` writes a file."""

    def facts(self) -> dict[str, Any]: ...

    def start(self, target: str | None, origin: str) -> None:
        """The next control that moves is told by an event `midi`, and bound to `target`. Raises PhospheneError."""
        ...

    def stop(self) -> None: ...

    def bind(self, control: str, target: str | None, origin: str) -> None:
        """target None: bound to nothing. Raises PhospheneError."""
        ...


class MidiApi:
    """Endpoints. learn: None in a server without MIDI."""

    def __init__(self, learn: Learn | None, limits: Limits) -> None:
        self._learn, self._limits = learn, limits

    def routes(self, v1: str) -> list[BaseRoute]:
        return [
            methods(f"{v1}/midi", get=self.facts),
            methods(f"{v1}/midi/learn", post=self.start, delete=self.stop),
            methods(f"{v1}/midi/bind", put=self.bind),
        ]

    async def facts(self, _: Request) -> Response:
        return json_answer(self._own().facts())

    async def start(self, request: Request) -> Response:
        """{"target": "strength 0..1" | "neon over 1s" | null}."""
        own = self._own()
        own.start(_text_or_none(await self._body(request), "target"), origin_of(request))
        return json_answer(own.facts(), 202)

    async def stop(self, _: Request) -> Response:
        own = self._own()
        own.stop()
        return json_answer(own.facts())

    async def bind(self, request: Request) -> Response:
        """{"control": "cc 7", "target": "strength 0..1" | null}."""
        own, body = self._own(), await self._body(request)
        control, target = _text_or_none(body, "control"), _text_or_none(body, "target")
        if control is None:
            raise RefusedError(
                422, "The body names no control.", 'Send {"control": "cc 7", "target": "strength"}.'
            )
        await asyncio.to_thread(own.bind, control, target, origin_of(request))
        return json_answer(own.facts())

    def _own(self) -> Learn:
        if self._learn is None:
            raise RefusedError(404, "There is no MIDI here.", "The daemon's own server has it.")
        return self._learn

    async def _body(self, request: Request) -> dict[str, Any]:
        body = await read_json(request, self._limits)
        if not isinstance(body, dict):
            raise RefusedError(422, "The body is not an object of keys and values.")
        return body


def _text_or_none(body: dict[str, Any], key: str) -> str | None:
    value = body.get(key)
    if value is not None and not isinstance(value, str):
        raise RefusedError(422, f"`{key}` is not text.")
    return value
