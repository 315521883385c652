"""What a file of this folder gives, and which of them a machine tries.

available(device)  None, or one sentence why it cannot be used on "cpu", "cuda", …, with what mends it; loads no torch
AUTO               {device: rank}: `engine.kind: auto` tries those that name the device, rising; {} = only when asked
versions()         of the compiler, as part of the cache's key
build(job, folder, say)     files for `job` into `folder`, in a process of its own; absent where nothing is compiled
RISKY, FP8                  may end the process while it begins; has 8-bit layers (each False where absent)
FOLLOWS_WEIGHTS             reads the painter's own weights, unless they are rounded: a LoRA is no other job (False)
ONE_STEP                    a call of the UNet is one step of F frames, not all T of them (False where absent)
load(job, folder, eager)    the engine, in the engine's process, on a background thread; `eager` is its own to keep
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pipeline import kinds

if TYPE_CHECKING:
    from pipeline.engine.eager import EagerEngine
    from pipeline.engine.engine import Engine
    from pipeline.engine.job import Job

PACKAGE = "pipeline.engine.kinds"

Say = Callable[[str], None]


class EngineKind(Protocol):
    """A module of this folder."""

    AUTO: Mapping[str, int]

    def available(self, device: str) -> str | None: ...

    def versions(self) -> tuple[str, ...]: ...

    def load(self, job: Job, folder: Path, eager: EagerEngine) -> Engine: ...


def kind_of(name: str) -> EngineKind:
    """Raises PhospheneError for a name that is none."""
    module: Any = kinds.load(PACKAGE, name)
    found: EngineKind = module
    return found


def follows_weights(kind: object, job: Job) -> bool:
    """Whether an engine of this kind for `job` reads the painter's own weights."""
    return getattr(kind, "FOLLOWS_WEIGHTS", False) and job.eight_bit is None


def wanted(setting: str, device: str) -> tuple[str, ...]:
    """Kinds to try after the eager one, in order. `auto`: all that suit the device, the last the fastest."""
    if setting == "eager":
        return ()
    if setting != "auto":
        return (setting,)
    ranked = [(kind_of(name).AUTO.get(device), name) for name in kinds.names(PACKAGE)]
    return tuple(name for rank, name in sorted((r, n) for r, n in ranked if r is not None))
