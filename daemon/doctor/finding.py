"""What a check says."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any


class Level(IntEnum):
    """The worst one makes doctor's exit code."""

    OK = 0
    WARNING = 1  # it runs, with something missing
    PROBLEM = 2  # it does not run as configured


@dataclass(frozen=True, slots=True)
class Finding:
    """area: program, configuration, machine, camera, virtual camera, OBS, network or desktop. mend: a command."""

    area: str
    level: Level
    message: str
    mend: str = ""

    def facts(self) -> dict[str, Any]:
        return {**asdict(self), "level": self.level.name.lower()}


def ok(area: str, message: str, mend: str = "") -> Finding:
    return Finding(area, Level.OK, message, mend)


def warning(area: str, message: str, mend: str = "") -> Finding:
    return Finding(area, Level.WARNING, message, mend)


def problem(area: str, message: str, mend: str = "") -> Finding:
    return Finding(area, Level.PROBLEM, message, mend)
