"""`kind: cuda_graph`: PyTorch's kernels replayed as CUDA graphs; there within seconds, no compiler needed."""

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
    from pipeline.engine.norms import fastest_on_card
    from pipeline.engine.parts import example

    unet = eager.model.unet
    if (crashed := _crashed(folder)) is not None:
        norms = f"torch ({crashed})"
    else:
        unet, norms = fastest_on_card(unet, example(eager.model, job.rows[0], job.height, job.width))
    parts = ModuleParts(eager.model, job.every_rows, unet=unet, eight_bit=job.eight_bit)
    return graph_engine("cuda_graph", eager, parts, job, group_norm=norms)


def _crashed(folder: Path) -> str | None:
    """Triton compiles inside this process. Where an earlier start ended in it, or in anything else that begins here,
    graphs are recorded without it from then on."""
    from pipeline.engine.cache import Place

    mark = folder / "without-triton"
    if Place(folder).failed_trials() > 1:  # this one counts
        mark.touch()
    return f"the process once ended while it began; delete {mark} to try again" if mark.exists() else None
