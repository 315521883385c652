"""The three networks of a step as plain functions of tensors, the form in which every compiler takes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from pipeline.cross_attention import KV
from pipeline.models.model import Model


class EncodePart(nn.Module):
    """RGB uint8 [F, H, W, 3] → clean latents [F, C, h, w] float32."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.vae = model.vae
        self.dtype = model.dtype

    def forward(self, pictures: Tensor) -> Tensor:
        # Bytes become numbers first: TensorRT moves no bytes.
        scaled = pictures.to(self.dtype).permute(0, 3, 1, 2) * (1.0 / 255.0)
        return self.vae.encode(scaled).float()


class UNetPart(nn.Module):
    """Latents [N, C, h, w] and waves [N, width] (see `UNet.waves`), float32, and keys and values of N rows each →
    prediction, float32.

    Keys and values are inputs: a new prompt changes no compiled number.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.unet: Any = model.unet
        self.dtype = model.dtype

    def forward(self, x: Tensor, waves: Tensor, *kv: Tensor) -> Tensor:
        out: Tensor = self.unet.predict(x.to(self.dtype), waves, paired(kv))
        return out.float()


class DecodePart(nn.Module):
    """Latents [F, C, h, w] float32 → RGB uint8 [F, H, W, 3]."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.vae = model.vae
        self.dtype = model.dtype

    def forward(self, latents: Tensor) -> Tensor:
        decoded = self.vae.decode(latents.to(self.dtype)).float()
        whole = (decoded * 255.0 + 0.5).clamp(0.0, 255.0)
        return whole.permute(0, 2, 3, 1).to(torch.uint8)


class Parts(Protocol):
    """Compiled parts for one canvas and F frames. Results stay valid until the third call after (rotating memory)."""

    large: bool
    """Whether another number of rows costs so much memory that none is compiled before it is needed."""

    def rows(self) -> frozenset[int]:
        """Numbers of UNet rows there is a compiled part for."""
        ...

    def encode(self, pictures: Tensor) -> Tensor: ...

    def unet(self, x: Tensor, waves: Tensor, kv: KV, lane: int = 0) -> Tensor:
        """kv: of as many rows as x. lane: which of the calls that may run at a time; its result is its own."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Called by another thread than the rest."""
        ...

    def add(self, rows: int) -> None:
        """Take what a build has left for so many rows; by any thread."""
        ...


Network = Callable[[Sequence[Tensor]], Tensor]
"""One compiled network: its inputs in order → its output."""


class NetworkParts:
    """`Parts` from compiled networks. unet_for(rows): that of one number of rows, once for every lane."""

    def __init__(
        self, encode: Network, decode: Network, unet_for: Callable[[int], Sequence[Network]], *, large: bool
    ) -> None:
        self.large = large
        self._encode, self._decode, self._unet_for = encode, decode, unet_for
        self._unets: dict[int, Sequence[Network]] = {}

    def rows(self) -> frozenset[int]:
        return frozenset(self._unets)

    def add(self, rows: int) -> None:
        self._unets = {**self._unets, rows: self._unet_for(rows)}

    def encode(self, pictures: Tensor) -> Tensor:
        return self._encode([pictures])

    def unet(self, x: Tensor, waves: Tensor, kv: KV, lane: int = 0) -> Tensor:
        return self._unets[x.shape[0]][lane]([x, waves, *flat(kv)])

    def decode(self, latents: Tensor) -> Tensor:
        return self._decode([latents])


def paired(flat: tuple[Tensor, ...]) -> KV:
    return tuple(zip(flat[::2], flat[1::2], strict=True))


def flat(kv: KV) -> list[Tensor]:
    return [tensor for pair in kv for tensor in pair]


def example(model: Model, rows: int, height: int, width: int) -> tuple[Tensor, ...]:
    """Inputs of `UNetPart` for pictures of height × width pixels: random latents, zero keys and values."""
    shape = (model.latent_channels, height // model.vae_scale, width // model.vae_scale)
    embeds = torch.zeros(1, model.max_tokens, model.text_width, device=model.device, dtype=model.dtype)
    kv = [t.expand(rows, -1, -1, -1).contiguous() for t in flat(model.unet.project_text(embeds))]
    x = torch.randn(rows, *shape).to(model.device)  # the card's generator belongs to whoever records a graph
    return x, model.unet.waves(torch.full((rows,), 99.0, device=model.device)), *kv
