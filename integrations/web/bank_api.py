"""The style bank over HTTP: list, create, edit, delete, order, export, import, and the pictures of styles.

Every change may carry `If-Match` with the tag that the list was read under: it is refused (412) when somebody else has
changed the bank since. Without it, a PATCH changes only what it names, so nobody's edit is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from integrations.bank import (
    AddStyle,
    Bank,
    BankChangedError,
    Edit,
    EditStyle,
    ImportStyles,
    NoSuchStyleError,
    OrderStyles,
    PutStyle,
    RemoveStyle,
    ResetStyle,
    StyleExistsError,
)
from integrations.control import Control
from integrations.web.body import json_answer, read_json, read_text
from integrations.web.errors import RefusedError
from integrations.web.limits import Limits
from integrations.web.methods import methods
from integrations.web.origin import origin_of
from integrations.web.pictures import Pictures
from pipeline.errors import PhospheneError

BANK_BYTES = 512 * 1024
LIVE_S = 8.0


class BankApi:
    """Endpoints; all state belongs to what it is given. bank, pictures: None in a server without them."""

    def __init__(
        self, control: Control, bank: Bank | None, pictures: Pictures | None, limits: Limits
    ) -> None:
        self._control, self._bank, self._pictures = control, bank, pictures
        self._limits, self._large = limits, replace(limits, body=BANK_BYTES)
        self._one_live = asyncio.Lock()

    def routes(self, v1: str) -> list[BaseRoute]:
        one = f"{v1}/styles/{{name}}"
        return [
            methods(f"{v1}/styles", get=self.listed, post=self.add),
            methods(one, get=self.one, put=self.put, patch=self.edit, delete=self.remove),
            methods(f"{one}/reset", post=self.reset),
            methods(f"{one}/picture", get=self.picture),
            methods(f"{v1}/style-order", put=self.order),
            methods(f"{v1}/style-bank", get=self.exported, post=self.imported),
        ]

    # ------------------------------------------------------------ reading

    async def listed(self, _: Request) -> Response:
        return await asyncio.to_thread(self._answer, 200)

    async def one(self, request: Request) -> Response:
        name = request.path_params["name"]
        facts = await asyncio.to_thread(self._facts)
        style = next((style for style in facts["styles"] if style["name"] == name), None)
        if style is None:
            raise no_style(name)
        return _tagged(json_answer(style), facts.get("tag"))

    async def exported(self, request: Request) -> Response:
        """As YAML where `?format=yaml` asks for it, else JSON."""
        form = _query(request, format=("json", "yaml"))["format"]
        if form == "json":
            return json_answer({"styles": self._own().exported()})
        return Response(await asyncio.to_thread(self._own().exported_text), media_type="application/yaml")

    async def picture(self, request: Request) -> Response:
        """JPEG; 202 while it is being painted (an event `picture` says when it is there)."""
        name, of = request.path_params["name"], _query(request, of=("demo", "live"), v=())["of"]
        if self._pictures is None:
            raise RefusedError(
                404, "There are no pictures of styles here.", "They are painted by the daemon."
            )
        try:
            if of == "live":
                async with self._one_live:
                    return _jpeg(await asyncio.to_thread(self._pictures.live, name, LIVE_S))
            data, key, reason = await asyncio.to_thread(self._pictures.get, name)
        except KeyError:
            raise no_style(name) from None
        except PhospheneError as error:
            raise RefusedError(503, error.message, error.mend, {"retry-after": "2"}) from error
        if data is None:
            return json_answer({"pending": True, "reason": reason}, 202)
        if request.headers.get("if-none-match") == f'"{key}"':
            return Response(
                status_code=304, headers={"etag": f'"{key}"', "cache-control": "private, no-cache"}
            )
        answer = _jpeg(data)
        answer.headers.update({"etag": f'"{key}"', "cache-control": "private, no-cache"})
        return answer

    # ------------------------------------------------------------ changing

    async def add(self, request: Request) -> Response:
        body = await self._body(request)
        name, before = body.pop("name", None), body.pop("before", None)
        if not isinstance(name, str) or not (before is None or isinstance(before, str)):
            raise RefusedError(422, "A style needs a `name`.", 'Send {"name": …, "prompt": …}.')
        return await self._change(request, AddStyle(name, body, before), 201)

    async def put(self, request: Request) -> Response:
        return await self._change(request, PutStyle(request.path_params["name"], await self._body(request)))

    async def edit(self, request: Request) -> Response:
        body = await self._body(request)
        new = body.pop("name", None)
        if not (new is None or isinstance(new, str)):
            raise RefusedError(422, "`name` is not text.")
        return await self._change(request, EditStyle(request.path_params["name"], body, new))

    async def remove(self, request: Request) -> Response:
        return await self._change(request, RemoveStyle(request.path_params["name"]))

    async def reset(self, request: Request) -> Response:
        return await self._change(request, ResetStyle(request.path_params["name"]))

    async def order(self, request: Request) -> Response:
        names = (await self._body(request)).get("names")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise RefusedError(422, "`names` is not a list of styles.", 'Send {"names": ["neon", …]}.')
        return await self._change(request, OrderStyles(tuple(names)))

    async def imported(self, request: Request) -> Response:
        """A bank as `exported` gave it, JSON or YAML. `?replace=1`: and no other styles."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind in ("application/yaml", "text/yaml", "application/x-yaml"):
            body = self._own().read_text(await read_text(request, self._large))
        else:
            body = await read_json(request, self._large)
        styles = body.get("styles") if isinstance(body, dict) else None
        if not isinstance(styles, dict) or not all(isinstance(style, dict) for style in styles.values()):
            raise RefusedError(
                422, "There are no styles in it.", 'Send {"styles": {"neon": {"prompt": …}, …}}.'
            )
        replace = _query(request, replace=("0", "1"))["replace"] == "1"
        return await self._change(request, ImportStyles(styles, replace))

    # ------------------------------------------------------------ inside

    def _own(self) -> Bank:
        if self._bank is None:
            raise RefusedError(404, "This server cannot change styles.", "The daemon's own can.")
        return self._bank

    async def _body(self, request: Request) -> dict[str, Any]:
        self._own()
        body = await read_json(request, self._limits)
        if not isinstance(body, dict):
            raise RefusedError(422, "The body is not an object of keys and values.")
        return body

    async def _change(self, request: Request, edit: Edit, status: int = 200) -> Response:
        try:
            await asyncio.to_thread(self._own().change, edit, origin_of(request), tag_in(request))
        except BankChangedError as error:
            raise RefusedError(412, error.message, error.mend) from error
        except NoSuchStyleError as error:
            raise RefusedError(404, error.message, error.mend) from error
        except StyleExistsError as error:
            raise RefusedError(409, error.message, error.mend) from error
        return await asyncio.to_thread(self._answer, status)

    def _answer(self, status: int) -> Response:
        facts = self._facts()
        return _tagged(json_answer(facts, status), facts.get("tag"))

    def _facts(self) -> dict[str, Any]:
        facts = self._bank.listed() if self._bank is not None else {"styles": self._control.styles()}
        if self._pictures is not None:
            facts["styles"] = [{**style, "picture": self._picture_of(style)} for style in facts["styles"]]
        return facts

    def _picture_of(self, style: Mapping[str, Any]) -> dict[str, Any]:
        assert self._pictures is not None
        try:
            ready, key = self._pictures.ready(style["name"])
        except KeyError:  # it went away this instant
            ready, key = False, ""
        return {"ready": ready, "address": f"/api/v1/styles/{quote(style['name'], safe='')}/picture?v={key}"}


def _query(request: Request, **known: tuple[str, ...]) -> dict[str, str]:
    """Each known key's value, the first of its choices where it is absent (no choices: anything goes).

    Raises RefusedError (422) for other keys, repeated ones and other values.
    """
    given = request.query_params
    found = {key: given.get(key, choices[0] if choices else "") for key, choices in known.items()}
    for key, value in given.multi_items():
        if key not in known or len(given.getlist(key)) > 1:
            raise RefusedError(422, f"The query has {key[:40]!r} too much.", f"It takes: {', '.join(known)}.")
        if known[key] and value not in known[key]:
            raise RefusedError(422, f"{key} is {value[:40]!r}.", f"Use one of {', '.join(known[key])}.")
    return found


def tag_in(request: Request) -> str | None:
    """Of `If-Match`; None where any bank will do."""
    given = request.headers.get("if-match", "*").strip()
    return None if given == "*" else given.removeprefix("W/").strip('"')


def no_style(name: str) -> RefusedError:
    return RefusedError(404, f"There is no style {name[:80]!r}.", "`GET /api/v1/styles` lists them.")


def _tagged(answer: Response, tag: str | None) -> Response:
    if tag is not None:
        answer.headers["etag"] = f'"{tag}"'
    return answer


def _jpeg(data: bytes) -> Response:
    return Response(data, media_type="image/jpeg")
