"""The engine that paints now, and the moment at which another one takes its place: between two frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pipeline.admission import Admission, Leaving
from pipeline.conditioning import TextContext
from pipeline.engine.engine import Engine
from pipeline.engine.pictures import Pending, Pictures
from pipeline.models.model import Model

if TYPE_CHECKING:
    from pipeline.stream_batch import StreamBatch
    from pipeline.stream_shape import StreamShape


class EngineSwitch:
    """An `Engine` that is one of several. Latents in flight are the stream batch's and stay where they are, unless an
    engine with lanes takes over (`pipeline.engine.lane_engine`).

    `swap` is for the denoiser's thread, between two calls of `step`. The thread that decodes takes whichever engine
    is there when a frame comes: latents mean the same to all.
    """

    def __init__(self, engine: Engine) -> None:
        self.present: Engine = engine

    def swap(self, engine: Engine) -> Engine:
        """From the next call on, `engine`. Returns the one that painted so far."""
        before, self.present = self.present, engine
        return before

    @property
    def kind(self) -> str:
        return self.present.kind

    @property
    def model(self) -> Model:
        return self.present.model

    @property
    def device(self) -> torch.device:
        return self.present.device

    @property
    def dtype(self) -> torch.dtype:
        return self.present.dtype

    @property
    def follows_weights(self) -> bool:
        return self.present.follows_weights

    def encode(self, pictures: Pictures) -> Tensor:
        return self.present.encode(pictures)

    def predict(self, x: Tensor, timesteps: Tensor, context: TextContext) -> Tensor:
        return self.present.predict(x, timesteps, context)

    def step(
        self, batch: StreamBatch, latents: Tensor, admission: Admission, tags: Sequence[object]
    ) -> Leaving | None:
        return self.present.step(batch, latents, admission, tags)

    @property
    def lanes(self) -> int:
        return self.present.lanes

    def calls_to_leave(self, steps: int) -> int:
        return self.present.calls_to_leave(steps)

    def ready(self, timeout_s: float) -> bool:
        return self.present.ready(timeout_s)

    def decode(self, latents: Tensor) -> Tensor:
        return self.present.decode(latents)

    def decode_async(self, latents: Tensor) -> Pending:
        return self.present.decode_async(latents)

    def prepare_for(self, shape: StreamShape) -> None:
        self.present.prepare_for(shape)

    def info(self) -> dict[str, Any]:
        return self.present.info()

    def close(self) -> None:
        self.present.close()
