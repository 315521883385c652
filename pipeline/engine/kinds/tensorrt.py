"""`kind: tensorrt`: NVIDIA's own compiler, only when asked for (`pip install "phosphene[tensorrt]"`)."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pipeline.engine.eager import EagerEngine
    from pipeline.engine.engine import Engine
    from pipeline.engine.job import Job
    from pipeline.engine.kinds._contract import Say

AUTO: Final[Mapping[str, int]] = {}
RISKY: Final = True


def available(device: str) -> str | None:
    if device != "cuda":
        return f"TensorRT needs an NVIDIA card and the device is {device}: use engine.kind: auto"
    for library in ("tensorrt", "onnx", "onnxscript"):
        if importlib.util.find_spec(library) is None:
            return f'{library} is not installed: pip install "phosphene[tensorrt]"'
    return None


def versions() -> tuple[str, ...]:
    from importlib.metadata import version

    return (version("tensorrt"),)


def build(job: Job, folder: Path, say: Say) -> None:
    from pipeline.engine.building import model_for
    from pipeline.engine.tensorrt_parts import build_engines

    build_engines(model_for(job, job.torch_dtype), job, folder, say)


def load(job: Job, folder: Path, eager: EagerEngine) -> Engine:
    from pipeline.engine.cuda_capture import graph_engine
    from pipeline.engine.tensorrt_parts import tensorrt_parts

    parts = tensorrt_parts(job, folder)
    for rows in job.rows:
        parts.add(rows)
    return graph_engine("tensorrt", eager, parts, job)
