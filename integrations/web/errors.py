"""Every refusal as the same JSON: {"error": {"message", "mend"}}."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pipeline.errors import PhospheneError

PHRASES = {
    404: ("There is nothing at this address.", "GET /api/v1/openapi.json lists every address."),
    405: ("This address does not take that method.", "GET /api/v1/openapi.json lists the methods."),
}


class RefusedError(Exception):
    """Ends a request with `status` and the error body. `headers`: extra ones of the answer."""

    def __init__(
        self, status: int, message: str, mend: str = "", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(status, message)
        self.status, self.message, self.mend, self.headers = status, message, mend, headers


def error_body(message: str, mend: str = "") -> dict[str, Any]:
    return {"error": {"message": message, "mend": mend}}


def refusal(refused: RefusedError) -> Response:
    """`refused` as an answer."""
    return JSONResponse(error_body(refused.message, refused.mend), refused.status, refused.headers)


async def on_refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    return refusal(error)


async def on_phosphene_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, PhospheneError)
    return JSONResponse(error_body(error.message, error.mend), 422)


async def on_http_exception(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message, mend = PHRASES.get(error.status_code, (str(error.detail), ""))
    return JSONResponse(error_body(message, mend), error.status_code, error.headers)


async def on_fault(_: Request, error: Exception) -> Response:
    return JSONResponse(
        error_body(
            f"The daemon could not answer: {type(error).__name__}. The picture is not touched by this.",
            "`phosphene logs` shows where; please report it.",
        ),
        500,
    )


HANDLERS: dict[Any, Any] = {
    RefusedError: on_refused,
    PhospheneError: on_phosphene_error,
    HTTPException: on_http_exception,
    Exception: on_fault,
}
