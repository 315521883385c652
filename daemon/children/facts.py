"""What the host knows of camera and engine. Replaced whole, never changed, so that any thread may read it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

Stages = dict[str, dict[str, float | None]]
"""Milliseconds by stage and percentile (see `pipeline.metrics`)."""


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """status: starting, open, failed, stalled, asleep (nobody watches), closed (panic), ended, given up.

    slow: in words, while the camera gives far fewer pictures than it promised. since: `time.monotonic()`.
    """

    kind: str
    status: str = "starting"
    name: str = ""
    detail: str = ""
    error: str | None = None
    mend: str | None = None
    slow: str | None = None
    promised_fps: float = 0.0
    since: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """status: starting, loading, ready, restarting, failed, given up.

    reduced: in words, what was made smaller because memory ran out.
    """

    status: str = "starting"
    message: str = ""
    progress: float | None = None
    info: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    mend: str | None = None
    reduced: str | None = None
