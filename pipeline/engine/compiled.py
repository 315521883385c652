"""An engine of compiled parts; where a shape is not compiled yet, the eager one does that call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pipeline.admission import Admission, Leaving
from pipeline.conditioning import TextContext
from pipeline.engine.eager import EagerEngine
from pipeline.engine.engine import StreamBatched
from pipeline.engine.job import Job
from pipeline.engine.parts import Parts
from pipeline.engine.pictures import Pending, Pictures, ReadyPictures

if TYPE_CHECKING:
    from pipeline.stream_batch import StreamBatch
    from pipeline.stream_shape import StreamShape


class CompiledEngine(StreamBatched):
    """`Parts` for one canvas behind the interface of an engine; nothing here waits for a compiler.

    job: what the parts were compiled for. compiler: for people. on_missing(rows): a UNet call of so many rows was asked
    for that is not compiled; on the thread that needed it, about once a number.
    """

    def __init__(
        self,
        job: Job,
        eager: EagerEngine,
        parts: Parts,
        compiler: str,
        *,
        follows_weights: bool = False,
    ) -> None:
        self.follows_weights = follows_weights
        self.model, self.device, self.dtype = eager.model, eager.device, eager.dtype
        self.parts = parts
        self.on_missing: Callable[[int], None] = lambda rows: None
        self._name = job.kind
        self._eager = eager
        self._pictures = (job.frames, job.height, job.width, 3)
        scale = self.model.vae_scale
        self._latents = (job.frames, self.model.latent_channels, job.height // scale, job.width // scale)
        self._compiler = compiler
        self._asked: set[int] = set()
        self._eager_now = False

    @property
    def kind(self) -> str:
        """Its own name, or "eager" while that one does the UNet's calls."""
        return "eager" if self._eager_now else self._name

    @torch.inference_mode()
    def encode(self, pictures: Pictures) -> Tensor:
        if tuple(pictures.shape) != self._pictures or pictures.dtype not in (torch.uint8, np.uint8):
            return self._eager.encode(pictures)
        return self.parts.encode(as_tensor(pictures))

    @torch.inference_mode()
    def predict(self, x: Tensor, timesteps: Tensor, context: TextContext, *, lane: int = 0) -> Tensor:
        """As `Engine.predict`. lane: as in `Parts.unet`."""
        rows = x.shape[0]
        fits = tuple(x.shape[1:]) == self._latents[1:]
        if not fits or rows not in self.parts.rows():
            self._eager_now = True
            if fits and rows not in self._asked:
                self._asked.add(rows)
                self.on_missing(rows)
            return self._eager.predict(x, timesteps, context)
        self._eager_now = False
        kv = self.model.unet.project_text(context.embeds) if context.kv is None else context.kv
        if context.rows != rows:
            kv = tuple((k.expand(rows, -1, -1, -1), v.expand(rows, -1, -1, -1)) for k, v in kv)
        return self.parts.unet(x.float(), self.model.unet.waves(timesteps), kv, lane).to(x.dtype)

    def step(
        self, batch: StreamBatch, latents: Tensor, admission: Admission, tags: Sequence[object]
    ) -> Leaving | None:
        return batch.step(latents, admission, tags)

    def decode(self, latents: Tensor) -> Tensor:
        return self.decode_async(latents).result().clone()

    @torch.inference_mode()
    def decode_async(self, latents: Tensor) -> Pending:
        if tuple(latents.shape) != self._latents:
            return self._eager.decode_async(latents)
        return ReadyPictures(self.parts.decode(latents.float()))

    def prepare_for(self, shape: StreamShape) -> None:
        pass  # what is not compiled is asked for when it is needed

    def extend(self, rows: int) -> None:
        """Take what was compiled for one more number of rows; from any thread."""
        self.parts.add(rows)

    def info(self) -> dict[str, Any]:
        return {"compiler": self._compiler, "rows": sorted(self.parts.rows())}

    def close(self) -> None:
        pass


def as_tensor(pictures: Pictures) -> Tensor:
    if isinstance(pictures, Tensor):
        return pictures.contiguous()
    return torch.from_numpy(
        pictures if pictures.flags.writeable and pictures.flags.c_contiguous else pictures.copy()
    )
