"""One denoiser step as plain PyTorch calls: runs on any device, the reference for every other engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pipeline.admission import Admission, Emitted
from pipeline.conditioning import TextContext
from pipeline.engine.denormals import flushed
from pipeline.engine.engine import StreamBatched
from pipeline.engine.pictures import Pending, PendingPictures, PictureBuffer, Pictures
from pipeline.models.model import Model
from pipeline.stream_shape import StreamShape

if TYPE_CHECKING:
    from pipeline.stream_batch import StreamBatch


class EagerEngine(StreamBatched):
    """Encode, predict and decode with one `Model`, on its device and in its dtype."""

    kind = "eager"
    follows_weights = True

    def __init__(self, model: Model) -> None:
        self.model = model
        self.device = model.device
        self.dtype = model.dtype
        self._input = PictureBuffer(self.device, self.dtype)

    @torch.inference_mode()
    def encode(self, pictures: Pictures) -> Tensor:
        """RGB uint8 [F, H, W, 3] (array or tensor), H and W multiples of `model.vae_scale` → latents z [F, C,
        h, w].

        float32, on the model's device; as the UNet was trained on them (scaled). Deterministic.
        """
        with flushed(self.device):
            return self.model.vae.encode(self._input.fill(pictures)).float()

    @torch.inference_mode()
    def predict(self, x: Tensor, timesteps: Tensor, context: TextContext) -> Tensor:
        """The UNet's raw output for latents x [N, C, h, w] at `timesteps` [N] (whole or not), in x's dtype.

        What it means (ε, v or x₀) is `model.prediction_type`. `context` has N rows, or one row for all.
        """
        unet = self.model.unet
        with flushed(self.device):
            kv = unet.project_text(context.embeds) if context.kv is None else context.kv
            out: Tensor = unet(x.to(dtype=self.dtype, memory_format=torch.channels_last), timesteps, kv)
        return out.to(x.dtype)

    def step(
        self, batch: StreamBatch, latents: Tensor, admission: Admission, tags: Sequence[object]
    ) -> Emitted | None:
        return batch.step(latents, admission, tags)

    def info(self) -> dict[str, Any]:
        return {}

    def close(self) -> None:
        pass

    def decode(self, latents: Tensor) -> Tensor:
        """Latents [F, C, h, w] → RGB uint8 [F, H, W, 3] on the CPU, C-contiguous; waits for the device."""
        return self.decode_async(latents).result()

    @torch.inference_mode()
    def decode_async(self, latents: Tensor) -> Pending:
        """As `decode`, without waiting for the device: ask for `result()` once the next step is under way."""
        z = latents.to(dtype=self.dtype, memory_format=torch.channels_last)
        with flushed(self.device):
            return PendingPictures(self.model.vae.decode(z))

    def prepare_for(self, shape: StreamShape) -> None:
        """Told before the first call of a shape, by the thread that will make it. Plain calls need nothing."""

    def warm_up(self, rows: int, frames: int, height: int, width: int) -> None:
        """One step of this shape in pixels: the first call of a shape picks kernels and allocates."""
        m = self.model
        self.encode(torch.zeros(frames, height, width, 3, dtype=torch.uint8))
        x = torch.zeros(
            rows, m.latent_channels, height // m.vae_scale, width // m.vae_scale, device=self.device
        )
        context = TextContext(
            torch.zeros(1, m.max_tokens, m.text_width, device=self.device, dtype=self.dtype)
        )
        self.predict(x, torch.full((rows,), 99, device=self.device), context)
        self.decode(x[:frames].expand(frames, -1, -1, -1) if frames > rows else x[:frames])
