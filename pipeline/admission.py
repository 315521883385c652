"""What a frame brings into the denoiser and what it leaves with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

import torch
from torch import Tensor

from pipeline.conditioning import TextContext
from pipeline.errors import EngineError
from pipeline.frame import now_ns
from pipeline.guidance import active_form
from pipeline.messages import GuidanceForm
from pipeline.schedule import Schedule

Start = Literal["image", "noise"]
"""image: the latents are a picture's. noise: they are unit-normal noise to dream from (text to image)."""


class Predict(Protocol):
    """The UNet, raw output of any prediction type."""

    def __call__(self, x: Tensor, timesteps: Tensor, context: TextContext) -> Tensor:
        """x: [R, C, h, w]. timesteps: [R] float32, seldom whole. context: R rows. Returns [R, C, h, w]."""
        ...


@dataclass(frozen=True, eq=False, slots=True)
class Admission:
    """The whole state a frame was admitted with; nothing in it is written to afterwards.

    context, negative: the prompt's and the negative prompt's, R = 1 (or F).
        `negative` may be None where the form does not ask for it.
    guidance_scale: g. delta: δ.
    noise: N_k, unit normal [T, C, h, w], shared by the F positions of a buffer.
    revision: the `LiveState.revision` it came from.
    """

    context: TextContext
    negative: TextContext | None
    guidance: GuidanceForm
    guidance_scale: float
    delta: float
    schedule: Schedule
    noise: Tensor
    revision: int
    start: Start = "image"

    @property
    def form(self) -> GuidanceForm:
        """The guidance that really runs: none where g ≤ 1 or where the frame passes the UNet by."""
        return "none" if self.schedule.bypass else active_form(self.guidance, self.guidance_scale)

    def check(self, steps: int) -> None:
        """Raises EngineError unless this suits a stream batch of `steps` steps."""
        if self.schedule.steps != steps or self.noise.shape[0] != steps:
            raise EngineError(
                f"a schedule of {self.schedule.steps} steps and noise for {self.noise.shape[0]} "
                f"reached a denoiser built for {steps}",
                "another number of steps needs the denoiser built again",
            )
        if self.negative is None and self.form in ("full", "onetime"):
            raise EngineError(
                f"guidance {self.guidance!r} at scale {self.guidance_scale} has no negative prompt",
                "give a negative prompt (an empty one counts), or use guidance self",
            )


class Finite:
    """Which frames of a buffer are finite, without making the denoiser wait for its device.

    The flags [F] are copied to the CPU behind the device's work; they can be read when that is done.
    """

    __slots__ = ("_event", "_flags")

    def __init__(self, flags: Tensor) -> None:
        self._event: torch.cuda.Event | None = None
        if flags.device.type == "cuda":
            self._flags = torch.empty(flags.shape, dtype=flags.dtype, pin_memory=True)
            self._flags.copy_(flags, non_blocking=True)
            self._event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._event.record()
        else:
            self._flags = flags.to("cpu", copy=True)

    def ready(self) -> bool:
        """Whether `read` would answer at once."""
        return self._event is None or bool(self._event.query())  # type: ignore[no-untyped-call]

    def read(self) -> tuple[bool, ...]:
        """One flag a frame; waits until the device has got there."""
        if self._event is not None:
            self._event.synchronize()
        return tuple(bool(f) for f in self._flags.tolist())


@dataclass(frozen=True, slots=True)
class Emitted:
    """F frames that have been through all T steps.

    latents: clean latents [F, C, h, w] in the dtype of the frames that came in; one that was not finite is
        all zeros and must not be shown.
    tags: what each frame was admitted with. admission: the state that painted them. left_ns: when they left.
    """

    latents: Tensor
    tags: tuple[object, ...]
    admission: Admission
    finite: Finite
    left_ns: int = field(default_factory=now_ns)

    @property
    def revision(self) -> int:
        return self.admission.revision

    def emitted(self) -> Emitted:
        """They have left: as `Leaving`."""
        return self

    def valid(self) -> tuple[bool, ...]:
        """Per frame, whether it may be shown. Waits for the device: ask when the picture is downloaded."""
        return self.finite.read()


class Leaving(Protocol):
    """F frames on their last way out of the denoiser."""

    def emitted(self) -> Emitted:
        """Waits until they have left; raises what the denoiser raised over them."""
        ...


def finite_rows(latents: Tensor) -> Tensor:
    """Whether each picture [..., C, h, w] is finite, [...] bool: a sum is finite only if each part is."""
    return torch.isfinite(latents.sum((-3, -2, -1), dtype=torch.float32))


def over_latents(flags: Tensor) -> Tensor:
    """[...] → [..., 1, 1, 1]."""
    return flags[..., None, None, None]
