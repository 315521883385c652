"""`kind: cuda_graph`: PyTorch's kernels replayed as CUDA graphs; there within a second, no compiler needed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pipeline.engine.eager import EagerEngine
    from pipeline.engine.engine import Engine
    from pipeline.engine.job import Job

AUTO: Final[Mapping[str, int]] = {"cuda": 1}
RISKY: Final = True
FP8: Final = True
FOLLOWS_WEIGHTS: Final = True


def available(device: str) -> str | None:
    if device != "cuda":
        return f"CUDA graphs need an NVIDIA card and the device is {device}: use engine.kind: auto"
    return None


def versions() -> tuple[str, ...]:
    return ()


def load(job: Job, folder: Path, eager: EagerEngine) -> Engine:
    from pipeline.engine.cuda_capture import graph_engine
    from pipeline.engine.module_parts import ModuleParts

    return graph_engine(
        "cuda_graph", eager, ModuleParts(eager.model, job.every_rows, eight_bit=job.eight_bit), job
    )
