"""The section `playlist:`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator

from daemon.config.choice import fault
from integrations.playlist import LONGEST_S, SHORTEST_S, parse_entry
from pipeline.errors import PhospheneError
from pipeline.options import Options, setting


def _entry(given: Any) -> Any:
    if not isinstance(given, str):
        raise fault(f"{given!r} is not a line of a playlist", "write for example: neon over 2s for 30s")
    try:
        return parse_entry(given).text
    except PhospheneError as error:
        raise fault(error.message, error.mend) from None


class PlaylistSettings(Options):
    """Styles and other actions one after the other."""

    items: tuple[Annotated[str, BeforeValidator(_entry)], ...] = setting(
        [],
        "lines of ACTION [over TIME] [for TIME], as in: neon over 2s for 30s",
        applies="live",
        max_length=500,
    )
    every_s: float = setting(
        30.0, "seconds a line without `for` is shown", applies="live", ge=SHORTEST_S, le=LONGEST_S
    )
    over_s: float = setting(
        2.0, "seconds over which a line without `over` is reached", applies="live", ge=0, le=3600
    )
    loop: bool = setting(True, "begin again after the last line", applies="live")
    shuffle: bool = setting(False, "another order each time round", applies="live")
    autostart: bool = setting(False, "play when the daemon starts", applies="prepare")
