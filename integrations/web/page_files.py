"""The page's own files, read once. They hold no secret and need none."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

FOLDER = Path(__file__).parent / "page"
TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".woff2": "font/woff2",
    ".webmanifest": "application/manifest+json",
}
SQUEEZED = (".html", ".js", ".css", ".svg", ".webmanifest")


class PageFiles:
    """Address → file of the page's folder: "/" is index.html, the others stand under /page/."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files: dict[str, tuple[bytes, bytes | None, str, str]] = {}
        for path in sorted(folder.iterdir()):
            if path.is_file() and not path.name.startswith("."):
                body = path.read_bytes()
                squeezed = gzip.compress(body, mtime=0) if path.suffix in SQUEEZED else None
                kind = (
                    TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
                )
                address = "/" if path.name == "index.html" else f"/page/{path.name}"
                self._files[address] = body, squeezed, kind, f'"{hashlib.sha256(body).hexdigest()[:24]}"'

    @property
    def addresses(self) -> list[str]:
        return list(self._files)

    async def serve(self, request: Request) -> Response:
        body, squeezed, kind, tag = self._files[request.scope["path"]]
        headers = {"etag": tag, "cache-control": "no-cache", "content-type": kind, "vary": "accept-encoding"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        if squeezed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(squeezed, headers={**headers, "content-encoding": "gzip"})
        return Response(body, headers=headers)
