"""The door: nothing reaches a route before Host, Origin, Sec-Fetch-Site, rate and token have been checked.

Default deny: an address needs the token unless it is named here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from integrations.web.auth import StreamKey, same_secret
from integrations.web.errors import RefusedError, refusal
from integrations.web.limits import Limits, Rates

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
STREAMS = frozenset({"/stream.mjpeg", "/stream.jpegs", "/snapshot.png"})
"""What the stream key opens."""

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "font-src 'self'; connect-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}


class Guard:
    """ASGI middleware.

    public: paths that need no secret (the page's own files, which hold none, and /healthz).
    unauthenticated_socket: the WebSocket path, which authenticates in its first message.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: str,
        stream_key: StreamKey,
        allowed_hosts: Collection[str],
        public: Collection[str],
        socket_path: str,
        limits: Limits,
    ) -> None:
        self._app = app
        self._token = token
        self._stream_key = stream_key
        self._hosts = LOOPBACK | {host.lower() for host in allowed_hosts}
        self._public = frozenset(public)
        self._socket_path = socket_path
        self._requests = Rates(limits.requests_rate, limits.requests_burst)
        self._refusals = Rates(limits.refusals_rate, limits.refusals_burst)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            self._check(scope)
        except RefusedError as refused:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008, "reason": refused.message})
            else:
                await refusal(refused)(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        address = (scope.get("client") or ("",))[0]
        if not self._requests.take(address):
            raise RefusedError(429, "Too many requests.", "Send fewer a second.", {"retry-after": "1"})
        check_host(headers, scope, self._hosts)
        check_origin(headers, scope)
        path = scope["path"]
        if path in self._public or (scope["type"] == "websocket" and path == self._socket_path):
            return
        if not self._knows_secret(scope, headers, path):
            if not self._refusals.take(address):
                raise RefusedError(429, "Too many wrong tokens.", "Wait a few seconds.", {"retry-after": "5"})
            raise RefusedError(
                401,
                "This address needs the daemon's token.",
                "Send `Authorization: Bearer TOKEN`; `phosphene open` opens the page with it.",
                {"www-authenticate": "Bearer"},
            )

    def _knows_secret(self, scope: Scope, headers: Headers, path: str) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and same_secret(given.strip(), self._token):
            scope["phosphene.raw_allowed"] = True
            return True
        if path in STREAMS and scope["type"] == "http":
            return self._stream_key.fits(query_value(scope, "key"))
        return False


def query_value(scope: Scope, name: str) -> str:
    """The first value of `name` in the query, or "" (also when the query is not one)."""
    try:
        query = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=16)
    except ValueError:
        return ""
    values: list[str] = query.get(name, [""])
    return values[0]


def check_host(headers: Headers, scope: Scope, allowed: Collection[str]) -> None:
    """The Host header must name this machine: a loopback name, a configured one, or the very address the
    connection came in by (a page elsewhere that rebinds its own name to ours sends its own name)."""
    hosts = headers.getlist("host")
    name = host_name(hosts[0]) if len(hosts) == 1 else None
    if name is None:
        raise RefusedError(400, "The Host header is missing or damaged.")
    own = (scope.get("server") or ("",))[0]
    if name not in allowed and not (own and same_address(name, own)):
        raise RefusedError(
            421,
            f"This daemon does not answer to the host name {name[:80]!r}.",
            "Open it by its address, or add the name to `web.allowed_hosts`.",
        )


def check_origin(headers: Headers, scope: Scope) -> None:
    """A request that a browser makes for another site's page is refused, whatever secret it carries."""
    site = headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        raise RefusedError(
            403, "Requests from other sites' pages are refused.", "Open the daemon's own page."
        )
    origin = headers.get("origin")
    if origin is None:
        return
    scheme = {"ws": "http", "wss": "https"}.get(scope["scheme"], scope["scheme"])
    if origin.lower() != f"{scheme}://{headers['host'].lower()}":
        raise RefusedError(403, "Requests from other origins are refused.", "Open the daemon's own page.")


def host_name(host: str) -> str | None:
    """The name part of a Host header, without port and brackets; None when it is not one."""
    name, port = host.strip().lower(), ""
    if name.startswith("["):
        name, bracket, rest = name[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            return None
        port = rest[1:]
    elif ":" in name:
        name, _, port = name.partition(":")
    if not name or (port and not (port.isascii() and port.isdigit())):
        return None
    return name.rstrip(".") or None


def same_address(name: str, own: str) -> bool:
    """Whether both are the same IP address, however written."""
    try:
        return ipaddress.ip_address(name) == ipaddress.ip_address(own.partition("%")[0])
    except ValueError:
        return False
