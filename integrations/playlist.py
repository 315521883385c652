"""A line of a playlist: an action and how long it is shown.

neon for 30s                the style for half a minute
neon over 2s for 1min       reached over two seconds, shown for a minute in all
prompt oil on canvas        no time of its own: the playlist's `every_s`
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from integrations.actions import parse_action, seconds
from pipeline.errors import PhospheneError
from pipeline.messages import Command, PlayList, SetMode

_FOR = re.compile(r"(?:^|\s+)for\s+([0-9.]+\s*(?:ms|s|sec|min|m)?)\s*$", re.IGNORECASE)

SHORTEST_S = 0.1
LONGEST_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Entry:
    """text: as written. command: what it does. for_s: seconds it is shown; None: as long as the list says."""

    text: str
    command: Command
    for_s: float | None


def parse_entry(text: str) -> Entry:
    """One line. Raises PhospheneError with what may be written."""
    line = " ".join(text.split())
    for_s: float | None = None
    action = line
    if match := _FOR.search(line):
        for_s, action = seconds(match[1]), line[: match.start()].strip()
        if not SHORTEST_S <= for_s <= LONGEST_S:
            raise PhospheneError(
                f"{line!r}: nothing can be shown for {for_s:g} s", f"use {SHORTEST_S:g} s to {LONGEST_S:g} s"
            )
    if not action:
        raise PhospheneError(f"{line!r} says nothing to do", "write for example: neon over 2s for 30s")
    command = parse_action(action)
    if isinstance(command, PlayList | SetMode):
        raise PhospheneError(
            f"{line!r} cannot stand in a playlist", "use styles, blends, prompts, values, next or random"
        )
    return Entry(line, command, for_s)
