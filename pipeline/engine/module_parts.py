"""The parts of a model as they are, called without a compiler: what a CUDA graph captures first."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from pipeline.cross_attention import KV
from pipeline.engine.parts import DecodePart, EncodePart, UNetPart, flat
from pipeline.models.model import Model


class ModuleParts:
    """See `pipeline.engine.parts.Parts`: any number of rows. fp8: linear layers of a copy of the UNet in 8 bits."""

    large = False

    def __init__(self, model: Model, rows: tuple[int, ...], *, fp8: bool = False) -> None:
        self._rows = frozenset(rows)
        self._encode, self._decode, self._unet = EncodePart(model), DecodePart(model), UNetPart(model)
        if fp8:
            from pipeline.engine.fp8 import quantize

            self._unet.unet = copy.deepcopy(model.unet)
            quantize(self._unet.unet)
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
