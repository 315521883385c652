"""The parts of a model as they are, called without a compiler: what a CUDA graph captures first."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipeline.cross_attention import KV
from pipeline.engine.parts import DecodePart, EncodePart, UNetPart, flat
from pipeline.models.model import Model

if TYPE_CHECKING:
    from pipeline.engine.fp8 import EightBit
    from pipeline.models.unet import UNet


class ModuleParts:
    """See `pipeline.engine.parts.Parts`: any number of rows. unet: in place of the model's, over the same tensors.
    eight_bit: those layers, of a copy of the UNet."""

    large = False

    def __init__(
        self,
        model: Model,
        rows: tuple[int, ...],
        *,
        unet: UNet | None = None,
        eight_bit: EightBit | None = None,
    ) -> None:
        self._rows = frozenset(rows)
        self._encode, self._decode, self._unet = EncodePart(model), DecodePart(model), UNetPart(model)
        if unet is not None:
            self._unet.unet = unet
        if eight_bit is not None:
            from pipeline.engine.fp8 import quantize

            self._unet.unet = copy.deepcopy(self._unet.unet)
            quantize(self._unet.unet, eight_bit)
        self._dtype = model.dtype

    def rows(self) -> frozenset[int]:
        return self._rows

    def add(self, rows: int) -> None:
        self._rows |= {rows}

    def encode(self, pictures: Tensor) -> Tensor:
        out: Tensor = self._encode(pictures)
        return out

    def unet(self, x: Tensor, waves: Tensor, kv: KV, lane: int = 0) -> Tensor:
        nhwc = x.to(dtype=self._dtype, memory_format=torch.channels_last)
        out: Tensor = self._unet(nhwc, waves, *flat(kv))
        return out

    def decode(self, latents: Tensor) -> Tensor:
        nhwc = latents.to(dtype=self._dtype, memory_format=torch.channels_last)
        out: Tensor = self._decode(nhwc)
        return out.contiguous()
