"""What a role is told when it starts: the part of the settings it needs, as plain values that fit a JSON line."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar

from pipeline.frame import Size
from pipeline.geometry import Fit, Upscale


@dataclass(frozen=True, slots=True)
class CaptureConfig:
    """kind, options: which source, as `pipeline.kinds` finds it. canvas: what the model paints on; output: what
    sinks get; fit: how the camera's picture lies in the output's (see `pipeline.geometry`)."""

    kind: str
    options: dict[str, Any]
    canvas: Size
    output: Size
    fit: Fit


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """The engine's part of the settings, resolved as far as a process without torch can (see `daemon.settings`).

    kind: auto, or a file of `pipeline/engine/kinds`. fp8: layers in 8-bit numbers, none, linear or all.
    pictures: False for text-to-image, where frames are only a clock. threads: of the CPU; 0 = choose.
    check: see `pipeline.content_guard`.
    """

    model: str
    vae: str | None
    loras: tuple[tuple[str, float], ...]
    canvas: Size
    output: Size
    fit: Fit
    upscale: Upscale
    frame_buffer_size: int = 1
    add_noise: bool = True
    prompt_switch: Literal["admitted", "immediate"] = "admitted"
    kind: str = "auto"
    device: str = "auto"
    dtype: str = "auto"
    threads: int = 0
    fp8: str = "none"
    offline: bool = False
    allow_pickle: bool = False
    pictures: bool = True
    drift_s: float = 4.0
    check: str | None = None


T = TypeVar("T", CaptureConfig, EngineConfig)


def to_json(config: CaptureConfig | EngineConfig) -> dict[str, Any]:
    """JSON-ready values; `from_json` reads them back."""
    return asdict(config)


def from_json(of: type[T], values: Any) -> T:
    """The configuration a host sent. Raises pydantic.ValidationError."""
    from pydantic import TypeAdapter

    return TypeAdapter(of).validate_python(values)
