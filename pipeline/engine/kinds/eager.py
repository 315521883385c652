"""`kind: eager`: plain PyTorch calls, on any device; paints from the first frame, whatever else is being built."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pipeline.engine.eager import EagerEngine
    from pipeline.engine.engine import Engine
    from pipeline.engine.job import Job

AUTO: Final[Mapping[str, int]] = {}


def available(device: str) -> str | None:
    return None


def versions() -> tuple[str, ...]:
    return ()


def load(job: Job, folder: Path, eager: EagerEngine) -> Engine:
    return eager
