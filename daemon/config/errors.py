"""What is wrong with a configuration, and where: file, line, column, key, value and the mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.errors import PhospheneError

Layer = Literal["default", "file", "environment", "command line"]
"""Where a value came from, weakest first."""

KeyPath = tuple[str | int, ...]
"""("output", "fps"), ("sinks", 0, "path")."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one value came from. name: a file, an environment variable or an option. line, column: from 1."""

    layer: Layer
    name: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if self.layer == "file" or (self.layer == "default" and self.line):
            return f"{self.name}:{self.line}:{self.column}" if self.line else self.name
        return {"environment": f"${self.name}", "command line": self.name}.get(self.layer, "default")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. value: what was given (None where a key is missing or the file is broken)."""

    message: str
    mend: str = ""
    path: KeyPath = ()
    value: Any = None
    origin: Origin = Origin("default")

    def __str__(self) -> str:
        where = "" if self.origin.layer == "default" and not self.origin.line else f"{self.origin}: "
        key = f"{dotted(self.path)}: " if self.path else ""
        return f"{where}{key}{self.message}" + (f"\n  → {self.mend}" if self.mend else "")

    def facts(self) -> dict[str, Any]:
        """As plain values, for `--json` and the HTTP API."""
        return {
            "message": self.message,
            "mend": self.mend,
            "key": dotted(self.path),
            "value": self.value
            if isinstance(self.value, str | int | float | bool | None)
            else repr(self.value),
            "layer": self.origin.layer,
            "where": str(self.origin),
            "file": self.origin.name if self.origin.line else "",
            "line": self.origin.line,
            "column": self.origin.column,
        }


class ConfigError(PhospheneError):
    """The configuration cannot be used; `problems` has every fault found, in the order of the file."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = tuple(sorted(problems, key=lambda p: (p.origin.line, p.origin.column)))
        first, *rest = map(str, self.problems)
        message, _, mend = first.partition("\n  → ")
        if rest:
            message, mend = "\n".join(map(str, self.problems)), ""
        super().__init__(message, mend)


def dotted(path: KeyPath) -> str:
    """`("sinks", 0, "path")` → `sinks.0.path`."""
    return ".".join(map(str, path))


def did_you_mean(given: str, known: Iterable[str], what: str = "use one of") -> str:
    """The mend for an unknown name: the nearest known one, else the list of them."""
    known = list(known)
    by_fold = {k.casefold(): k for k in known}
    near = difflib.get_close_matches(given.casefold(), by_fold, n=1, cutoff=0.6)
    if near:
        return f"did you mean {by_fold[near[0]]!r}?"
    return f"{what} {', '.join(known)}" if known else ""
