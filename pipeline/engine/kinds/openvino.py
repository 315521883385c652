"""`kind: openvino`: compiled for the CPU by OpenVINO; what `auto` takes on a machine without a GPU."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pipeline.engine.eager import EagerEngine
    from pipeline.engine.job import Job
    from pipeline.engine.kinds._contract import Say
    from pipeline.engine.lane_engine import LaneEngine

AUTO: Final[Mapping[str, int]] = {"cpu": 1}
ONE_STEP: Final = True


def available(device: str) -> str | None:
    if device != "cpu":
        return (
            f"OpenVINO paints on the CPU and the device is {device}: use engine.device: cpu, or another kind"
        )
    if importlib.util.find_spec("openvino") is None:
        return "OpenVINO is not installed: pip install openvino (there are wheels for x86-64 and most ARM systems)"
    return None


def versions() -> tuple[str, ...]:
    from importlib.metadata import version

    return (version("openvino"),)


def build(job: Job, folder: Path, say: Say) -> None:
    """Networks once, then the compiler's cache for every number of rows in `job.rows`."""
    import torch

    from pipeline.engine.building import model_for
    from pipeline.engine.openvino_model import compiled, compiled_unet, write_networks
    from pipeline.engine.openvino_quiet import openvino

    ov = openvino()
    if not (folder / "unet.xml").exists():
        say("OpenVINO: reading the model")
        write_networks(model_for(job, torch.float32), job, folder)
    core = ov.Core()
    say("OpenVINO: compiling")
    for name in ("encode", "decode"):
        compiled(core, folder, job, name)
    for rows in job.rows:
        compiled_unet(core, folder, job, rows)


def load(job: Job, folder: Path, eager: EagerEngine) -> LaneEngine:
    from pipeline.engine.lane_engine import LaneEngine
    from pipeline.engine.openvino_model import lanes_of, threads_of
    from pipeline.engine.openvino_parts import openvino_parts
    from pipeline.engine.openvino_quiet import openvino

    parts = openvino_parts(job, folder)
    for rows in job.rows:
        parts.add(rows)
    compiler = f"OpenVINO {openvino().get_version().split('-')[0]}"
    return LaneEngine(job, eager, parts, compiler, lanes=lanes_of(job), threads=threads_of(job))
