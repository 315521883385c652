"""`kind: inductor`: PyTorch's own compiler, ahead of time; on a card, captured in CUDA graphs as well."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pipeline.engine.eager import EagerEngine
    from pipeline.engine.engine import Engine
    from pipeline.engine.job import Job
    from pipeline.engine.kinds._contract import Say

AUTO: Final[Mapping[str, int]] = {"cuda": 2}
RISKY: Final = True
FP8: Final = True
FOLLOWS_WEIGHTS: Final = True


def available(device: str) -> str | None:
    if device not in ("cpu", "cuda"):
        return f"Inductor paints on a CPU or a CUDA card and the device is {device}: use engine.kind: eager"
    compilers = [os.environ.get("CXX"), "g++", "clang++", "cl"]
    if not any(shutil.which(name) for name in compilers if name):
        return "Inductor needs a C++ compiler and there is none: sudo apt install g++ (or your system's)"
    if device == "cuda" and importlib.util.find_spec("triton") is None:
        return "Inductor needs Triton on a card and it is not installed: pip install triton"
    return None


def versions() -> tuple[str, ...]:
    return ()  # PyTorch's own is in every key


def build(job: Job, folder: Path, say: Say) -> None:
    from pipeline.engine.building import model_for
    from pipeline.engine.inductor_parts import compile_parts

    model = model_for(job, job.torch_dtype)
    if job.eight_bit is not None:
        from pipeline.engine.fp8 import quantize

        quantize(model.unet, job.eight_bit)
    compile_parts(model, job, folder, say)


def load(job: Job, folder: Path, eager: EagerEngine) -> Engine:
    from pipeline.engine.compiled import CompiledEngine
    from pipeline.engine.inductor_parts import inductor_parts
    from pipeline.engine.kinds._contract import follows_weights, kind_of

    parts = inductor_parts(job, folder, eager.model)
    for rows in job.rows:
        parts.add(rows)
    if eager.device.type == "cuda":
        from pipeline.engine.cuda_capture import graph_engine

        return graph_engine("inductor", eager, parts, job)
    return CompiledEngine(
        job, eager, parts, "Inductor", follows_weights=follows_weights(kind_of(job.kind), job)
    )
