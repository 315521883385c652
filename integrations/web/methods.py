"""One address, several methods: one route, so that a refusal's `Allow` names them all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

Endpoint = Callable[[Request], Awaitable[Response]]


def methods(path: str, **endpoints: Endpoint) -> Route:
    """`methods("/styles", get=listed, post=add)`. HEAD is answered as GET."""
    by_name = {name.upper(): endpoint for name, endpoint in endpoints.items()}

    async def answer(request: Request) -> Response:
        return await by_name["GET" if request.method == "HEAD" else request.method](request)

    return Route(path, answer, methods=list(by_name))
