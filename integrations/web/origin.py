"""Which front end sent a request."""

from __future__ import annotations

from starlette.requests import Request

ORIGINS = frozenset({"web", "cli", "api"})


def origin_of(request: Request) -> str:
    """Who sent it, for the event: the header X-Phosphene-Client when it names a front end, else "api"."""
    origin = request.headers.get("x-phosphene-client", "api")
    return origin if origin in ORIGINS else "api"
