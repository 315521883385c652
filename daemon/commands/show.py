"""How commands print: facts as text for people, or as one JSON object."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any


def as_object(facts: Any) -> None:
    """One JSON object on standard output."""
    print(json.dumps(facts, ensure_ascii=False, indent=2, default=str))


def table(rows: Iterable[Sequence[str]]) -> None:
    """Columns aligned by their widest cell; the last one runs on."""
    rows = [tuple(row) for row in rows]
    widths = [
        max((len(row[i]) for row in rows if len(row) > i), default=0)
        for i in range(max(map(len, rows), default=0))
    ]
    for row in rows:
        cells = [cell.ljust(widths[i]) for i, cell in enumerate(row[:-1])]
        print("  ".join([*cells, row[-1]]).rstrip())


def duration(seconds: float) -> str:
    """`2 d 3 h`, `5 min`, `12 s`."""
    whole = int(seconds)
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    said = [f"{number} {unit}" for number, unit in parts if number]
    return " ".join(said[:2]) or "0 s"


def terminal_width() -> int:
    """Columns; a pipe has as many as one likes."""
    import shutil
    import sys

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 200


def dot(colour: str, coloured: bool) -> str:
    """A dot in a colour tag `#rrggbb`; without colours the tag's place stays empty."""
    if not colour or not coloured:
        return "●" if colour else " "
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"\x1b[38;2;{red};{green};{blue}m●\x1b[0m"


def bold(text: str) -> str:
    return f"\x1b[1m{text}\x1b[0m"
