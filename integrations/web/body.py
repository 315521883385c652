"""JSON in and out: bounded, finite, and never a surprise for the code behind it."""

from __future__ import annotations

import asyncio
import dataclasses
import math
from functools import cache
from typing import Annotated, Any, get_args

import pydantic_core
from pydantic import Field, TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from integrations.web.errors import RefusedError
from integrations.web.limits import Limits
from pipeline.messages import Command

LONGEST_TEXT = 8000
LARGEST_INT = 2**53
"""Beyond this JavaScript, YAML and C disagree about integers."""


@cache
def command_adapter() -> TypeAdapter[Any]:
    """Of any `Command`. Read strictly: a client that sends "1" or false for a number has a mistake in it."""
    return TypeAdapter(Annotated[Command, Field(discriminator="command")])


COMMANDS: dict[str, Any] = {
    next(str(f.default) for f in dataclasses.fields(kind) if f.name == "command"): kind
    for kind in get_args(get_args(Command)[0])
}
"""Command name → dataclass."""


def to_json(value: Any) -> bytes:
    """UTF-8 JSON. What JSON cannot say becomes null (NaN, infinity) or text (paths, enums, …)."""
    return pydantic_core.to_json(value, inf_nan_mode="null", fallback=str)


def json_answer(value: Any, status: int = 200) -> Response:
    return Response(to_json(value), status, media_type="application/json")


async def read_json(request: Request, limits: Limits) -> Any:
    """The request's JSON document. Raises RefusedError (400, 408, 413, 415)."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise RefusedError(415, "The body must be JSON.", "Send `Content-Type: application/json`.")
    return parse_json(await _whole(request, limits))


async def read_text(request: Request, limits: Limits) -> str:
    """The request's body as UTF-8 text. Raises RefusedError (400, 408, 413)."""
    try:
        return (await _whole(request, limits)).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RefusedError(400, "The body is not UTF-8.") from None


async def _whole(request: Request, limits: Limits) -> bytes:
    try:
        return await asyncio.wait_for(_read(request, limits.body), limits.body_s)
    except asyncio.TimeoutError:
        raise RefusedError(
            408, f"The body did not arrive within {limits.body_s:g} s.", headers={"connection": "close"}
        ) from None
    except ClientDisconnect:
        raise RefusedError(400, "The client went away in the middle of the body.") from None


async def _read(request: Request, most: int) -> bytes:
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > most:
            raise RefusedError(
                413, f"The body is larger than {most // 1024} KiB.", headers={"connection": "close"}
            )
    return bytes(raw)


def parse_json(raw: bytes | str) -> Any:
    """A JSON document of plain, finite, moderate values. Raises RefusedError (400)."""
    try:
        document = pydantic_core.from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise RefusedError(400, f"The body is not JSON: {str(error)[:200]}.") from None
    _check(document)
    return document


def _check(value: Any) -> None:
    """Depth is bounded by the parser (about 200)."""
    if isinstance(value, dict):
        for key, item in value.items():
            _check(key)
            _check(item)
    elif isinstance(value, list):
        for item in value:
            _check(item)
    elif isinstance(value, str) and len(value) > LONGEST_TEXT:
        raise RefusedError(422, f"A text is longer than {LONGEST_TEXT} characters.")
    elif isinstance(value, float) and not math.isfinite(value):
        raise RefusedError(422, "A number is too large to be one.")
    elif isinstance(value, int) and abs(value) > LARGEST_INT:
        raise RefusedError(422, "An integer is larger than 2^53.")


def read_command(data: Any) -> Any:
    """A `Command` from a plain dict. Raises RefusedError (422) for anything else, an unknown key included."""
    kind = COMMANDS.get(data.get("command", "")) if isinstance(data, dict) and _named(data) else None
    if kind is None:
        raise RefusedError(
            422, "There is no such command.", 'Send {"command": NAME, …}; NAME: ' + ", ".join(COMMANDS) + "."
        )
    known = {field.name: field for field in dataclasses.fields(kind)}
    if unknown := sorted(set(data) - set(known)):
        raise RefusedError(
            422,
            f"The command {data['command']!r} has no key {unknown[0][:80]!r}.",
            "Its keys: " + ", ".join(name for name in known if name != "command") + ".",
        )
    try:
        return command_adapter().validate_json(to_json(data), strict=True)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"][1:2])
        raise RefusedError(
            422, f"The command {data['command']!r} has a wrong {where or 'form'}: {first['msg']}."
        ) from None


def _named(data: dict[str, Any]) -> bool:
    return isinstance(data.get("command"), str)
