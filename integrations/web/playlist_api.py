"""The playlist over HTTP: how it stands, its lines and options; the command `playlist` plays it."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from integrations.bank import Bank, BankChangedError, SetPlaylist
from integrations.web.bank_api import tag_in
from integrations.web.body import json_answer, read_json
from integrations.web.errors import RefusedError
from integrations.web.limits import Limits
from integrations.web.methods import methods
from integrations.web.origin import origin_of


class Playing(Protocol):
    """The daemon's playlist (`daemon.playlist`). Thread-safe."""

    def facts(self) -> dict[str, Any]:
        """{"revision", "status": stopped | playing | paused, "at", "left_s", "items", "every_s", "over_s", …}."""
        ...


class PlaylistApi:
    """Endpoints. playing, bank: None in a server without them."""

    def __init__(self, playing: Playing | None, bank: Bank | None, limits: Limits) -> None:
        self._playing, self._bank, self._limits = playing, bank, limits

    def routes(self, v1: str) -> list[BaseRoute]:
        return [methods(f"{v1}/playlist", get=self.facts, put=self.change)]

    async def facts(self, _: Request) -> Response:
        if self._playing is None:
            raise RefusedError(404, "There is no playlist here.", "The daemon's own server has it.")
        return json_answer(self._playing.facts())

    async def change(self, request: Request) -> Response:
        """Some of its settings; they are kept in the style file."""
        body = await read_json(request, self._limits)
        if not isinstance(body, dict):
            raise RefusedError(422, "The body is not an object of keys and values.")
        if self._bank is None:
            raise RefusedError(404, "There is no playlist here.", "The daemon's own server has it.")
        try:
            await asyncio.to_thread(self._bank.change, SetPlaylist(body), origin_of(request), tag_in(request))
        except BankChangedError as error:
            raise RefusedError(412, error.message, error.mend) from error
        return await self.facts(request)
