"""What every engine is: pictures → latents → (stream batch) → latents → pictures, with one model on one device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from pipeline.admission import Admission, Leaving
from pipeline.conditioning import TextContext
from pipeline.engine.pictures import Pending, Pictures
from pipeline.models.model import Model

if TYPE_CHECKING:
    from pipeline.stream_batch import StreamBatch
    from pipeline.stream_shape import StreamShape


class Engine(Protocol):
    """One way to execute a step; equals the eager one within the tolerance of `pipeline.engine.agreement`.

    `encode`, `predict` and `step` are called by one thread, `decode_async` and its result by one (another) thread; an
    engine with lanes has threads of its own for the steps.
    """

    @property
    def kind(self) -> str:
        """Its file in `pipeline/engine/kinds`."""
        ...

    @property
    def model(self) -> Model: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def dtype(self) -> torch.dtype: ...

    @property
    def follows_weights(self) -> bool:
        """Whether new LoRA weights, written into the model's own tensors, reach it; if not, it must be built again."""
        ...

    def encode(self, pictures: Pictures) -> Tensor:
        """RGB uint8 [F, H, W, 3] (array or tensor), H and W multiples of `model.vae_scale` → clean latents z
        [F, C, h, w], float32, on the model's device. Valid until the next call."""
        ...

    def predict(self, x: Tensor, timesteps: Tensor, context: TextContext) -> Tensor:
        """The UNet's raw output for latents x [N, C, h, w] at `timesteps` [N] (whole or not), in x's dtype.

        What it means (ε, v or x₀) is `model.prediction_type`. `context` has N rows, or one row for all.
        """
        ...

    def step(
        self, batch: StreamBatch, latents: Tensor, admission: Admission, tags: Sequence[object]
    ) -> Leaving | None:
        """`batch.step` with this engine: one call of the denoiser. The batch's `predict` must lead here."""
        ...

    @property
    def lanes(self) -> int:
        """Calls of `step` that are worked on at a time; they leave in the order in which they came."""
        ...

    def calls_to_leave(self, steps: int) -> int:
        """Of T steps: with which call of `step`, its own being the first, a frame leaves."""
        ...

    def ready(self, timeout_s: float) -> bool:
        """Whether a call of `step` would begin at once; waits so long for it. A frame is best chosen when it is."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Latents [F, C, h, w] → RGB uint8 [F, H, W, 3] on the CPU, C-contiguous; waits for the device."""
        ...

    def decode_async(self, latents: Tensor) -> Pending:
        """Latents [F, C, h, w] → RGB uint8 [F, H, W, 3], not waited for."""
        ...

    def prepare_for(self, shape: StreamShape) -> None:
        """Told before the first call of a shape, by the thread that will make it."""
        ...

    def info(self) -> dict[str, Any]:
        """Plain facts for `status`, beside those of `pipeline.build`."""
        ...

    def close(self) -> None:
        """Gives back what garbage collection would not."""
        ...


class StreamBatched:
    """What engines that run the stream batch have in common: one call at a time, the T-th of which emits a frame."""

    @property
    def lanes(self) -> int:
        return 1

    def calls_to_leave(self, steps: int) -> int:
        return steps

    def ready(self, timeout_s: float) -> bool:
        return True
