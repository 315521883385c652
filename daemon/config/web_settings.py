"""The section `web:`."""

from __future__ import annotations

from pipeline.options import Options, setting


class WebSettings(Options):
    """The daemon's own HTTP server: page, API, stream."""

    host: str = setting(
        "127.0.0.1",
        "address to listen on; 127.0.0.1: this computer only; 0.0.0.0: its network too (with the token)",
        applies="rebuild",
        min_length=1,
    )
    port: int = setting(8520, "port to listen on; 0: any free one", applies="rebuild", ge=0, le=65535)
    allowed_hosts: tuple[str, ...] = setting(
        [],
        "host names by which it may be addressed, beside localhost and its addresses",
        applies="rebuild",
        max_length=64,
    )
    show_raw: bool = setting(
        False, "let the page show your real face beside the painting (before and after)", applies="live"
    )
