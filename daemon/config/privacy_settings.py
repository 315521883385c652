"""Settings that say of pictures what they are, and which of them may be shown."""

from __future__ import annotations

from daemon.config.value_types import Corner, Text
from pipeline.options import Options, setting


class BadgeSettings(Options):
    """Says of painted pictures that they are."""

    visible: bool = setting(False, "write `text` into a corner of painted pictures", applies="live")
    text: Text = setting("AI", "what to write there", applies="live", min_length=1, max_length=24)
    corner: Corner = setting(
        "bottom-right", "where: top-left, top-right, bottom-left, bottom-right", applies="live"
    )
    invisible: bool = setting(
        False,
        "weave a mark into painted pictures that nobody sees and `phosphene marked` finds",
        applies="live",
    )


class SafetySettings(Options):
    """A content check of your own."""

    check: str | None = setting(
        None,
        "module:function that is given every painted picture and returns whether it may be shown",
        applies="rebuild",
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$",
    )
