"""JSON in and out: bounded, finite, and never a surprise for the code behind it."""

from __future__ import annotations

import asyncio
from typing import Any

import pydantic_core
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from integrations import commands
from integrations.commands import check_plain, to_json
from integrations.web.errors import RefusedError
from integrations.web.limits import Limits
from pipeline.errors import PhospheneError


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
    try:
        check_plain(document)  # its depth is bounded by the parser (about 200)
    except PhospheneError as error:
        raise RefusedError(422, error.message, error.mend) from None
    return document


def read_command(data: Any) -> Any:
    """A `Command` from a plain dict. Raises RefusedError (422), see `integrations.commands`."""
    try:
        return commands.read_command(data)
    except PhospheneError as error:
        raise RefusedError(422, error.message, error.mend) from None
