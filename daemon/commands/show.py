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
