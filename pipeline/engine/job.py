"""What an engine is built for: plain values that fit a JSON line, and the name under which the result is kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import torch

from pipeline.configs import EngineConfig
from pipeline.messages import GuidanceForm
from pipeline.models.model import Model
from pipeline.stream_shape import StreamShape

if TYPE_CHECKING:
    from pipeline.engine.fp8 import EightBit

EXTRA_ROWS: Final[Mapping[GuidanceForm, Callable[[int], int]]] = {
    "none": lambda steps: 0,
    "self": lambda steps: 0,
    "onetime": lambda steps: 1,
    "full": lambda steps: steps,
}
"""Negative rows of a UNet call at T steps, in units of F (see `pipeline.guidance`)."""


@dataclass(frozen=True, slots=True)
class Job:
    """One engine to build.

    model, vae, allow_pickle: as in `EngineConfig`. weights: every LoRA in force, fused. device, dtype: PyTorch's names.
    height, width: of the pictures, pixels. frames: F. steps: T. rows: of the UNet calls wanted now, the first the
    most urgent. threads: of all UNet calls at a time on a CPU. fp8: none, linear or all; `eight_bit` is the same
    for code.
    """

    kind: str
    model: str
    vae: str | None
    weights: tuple[tuple[str, float], ...]
    allow_pickle: bool
    device: str
    dtype: str
    height: int
    width: int
    frames: int
    steps: int
    rows: tuple[int, ...]
    threads: int
    fp8: str = "none"

    @staticmethod
    def of(config: EngineConfig, model: Model, shape: StreamShape, form: GuidanceForm, threads: int) -> Job:
        """For a model with the LoRAs it has now, painting one shape under one form of guidance; `kind` is open."""
        return Job(
            kind="",
            model=config.model,
            vae=config.vae,
            weights=model.loras.weights_key,
            allow_pickle=config.allow_pickle,
            device=str(model.device),
            dtype=str(model.dtype).removeprefix("torch."),
            height=shape.canvas.height,
            width=shape.canvas.width,
            frames=shape.frames,
            steps=shape.steps,
            rows=(shape.steps * shape.frames + EXTRA_ROWS[form](shape.steps) * shape.frames,),
            threads=threads,
            fp8=config.fp8,
        )

    def like(self, other: Job) -> bool:
        """Whether one engine serves both, given the rows."""
        return replace(self, steps=0, rows=()) == replace(other, steps=0, rows=())

    @property
    def eight_bit(self) -> EightBit | None:
        """Layers in 8-bit numbers; None: no layers."""
        return None if self.fp8 == "none" else cast("EightBit", self.fp8)

    @property
    def torch_dtype(self) -> torch.dtype:
        found: torch.dtype = getattr(torch, self.dtype)
        return found

    def with_rows(self, rows: Iterable[int]) -> Job:
        return replace(self, rows=tuple(rows))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(values: Any) -> Job:
        """Raises TypeError for anything else than what `to_json` gave."""
        pairs = tuple((str(name), float(weight)) for name, weight in values["weights"])
        return Job(**{**values, "weights": pairs, "rows": tuple(values["rows"])})

    def one_step(self) -> Job:
        """The same for an engine whose UNet calls are one step of F frames, with or without negative rows."""
        base, one = self.steps * self.frames, self.frames
        of_step: list[int] = []
        for rows in self.rows:
            of_step += [] if rows == base else [2 * one]  # negative rows beside each
            of_step += [] if rows == 2 * base else [one]  # steps without any
        return replace(self, steps=1, rows=tuple(dict.fromkeys(of_step)))

    @property
    def every_rows(self) -> tuple[int, ...]:
        return rows_of(self.steps, self.frames)

    def key(self, *versions: str) -> str:
        """Name of the folder that keeps the result: another name wherever the result could be another one.

        versions: of the compiler. Model and LoRA files count by name, size and time of change, our own network
        and engine code by content. Steps count as numbers of UNet rows, by which the folder grows.
        """
        facts = {
            **self.to_json(),
            "rows": None,
            "steps": None,
            "torch": torch.__version__,
            "versions": versions,
            "machine": machine(torch.device(self.device)),
            "code": _code(),
            "files": [fact for name in self._names() for fact in _files(name)],
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]

    def _names(self) -> list[str]:
        return [self.model, *([self.vae] if self.vae else []), *(name for name, _ in self.weights)]


def rows_of(steps: int, frames: int) -> tuple[int, ...]:
    """Every number of rows a UNet call can have: T·F without negative rows, F more a step that has them.

    In the order of need: none or self; onetime; full; what lies between only while guidance changes.
    """
    base = steps * frames
    usual = (base, base + frames, 2 * base)
    between = (base + k * frames for k in range(steps + 1))
    return tuple(dict.fromkeys((*usual, *between)))


def machine(device: torch.device) -> str:
    """The hardware that compiled code is bound to."""
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        return f"{torch.cuda.get_device_name(device)} sm_{major}{minor} cuda {torch.version.cuda}"
    return f"{device.type} {_processor()} {torch.backends.cpu.get_cpu_capability()}"


def _processor() -> str:
    import platform

    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    wanted = ("model name", "flags", "Features", "CPU part")
    facts = dict.fromkeys(line for line in text.splitlines() if line.startswith(wanted))
    return platform.machine() + hashlib.sha256("\n".join(facts).encode()).hexdigest()[:12]


def _code() -> str:
    """Our own code that ends up in a compiled engine."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for file in sorted([*here.rglob("*.py"), *(here.parent / "models").glob("*.py")]):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _files(name: str) -> Iterator[tuple[str, int, int]]:
    """(path, bytes, time of change) of what a model's or LoRA's name stands for on this machine."""
    from pipeline.models.load import located

    path = located(name, offline=True, progress=lambda what, share: None)
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            facts = file.stat()
            yield str(file), facts.st_size, facts.st_mtime_ns
