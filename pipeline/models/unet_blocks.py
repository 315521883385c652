"""The two blocks of Stable Diffusion's UNet: the residual block and the transformer. All in channels_last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import scaled_dot_product_attention

from pipeline.cross_attention import LayerKV
from pipeline.models.group_norm import GroupNorm
from pipeline.models.unet_config import UNetConfig


class Resnet(nn.Module):
    """x + conv(norm(conv(norm(x)) + W t)): t the timestep's embedding after its SiLU, [N, 4·first width]."""

    def __init__(self, c: UNetConfig, width_in: int, width: int) -> None:
        super().__init__()
        self.norm1 = GroupNorm(c.norm_num_groups, width_in, c.norm_eps)
        self.conv1 = nn.Conv2d(width_in, width, 3, padding=1)
        self.time_emb_proj = nn.Linear(4 * c.block_out_channels[0], width)
        self.norm2 = GroupNorm(c.norm_num_groups, width, c.norm_eps)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(width_in, width, 1) if width_in != width else None

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        h = self.conv1(self.norm1.with_silu(x))
        h += self.time_emb_proj(time)[:, :, None, None]
        h = self.conv2(self.norm2.with_silu(h))
        h += x if self.conv_shortcut is None else self.conv_shortcut(x)
        out: Tensor = h
        return out


class Transformer(nn.Module):
    """Self-attention over the pixels, cross-attention to the prompt and a feed-forward, `layers` times."""

    def __init__(self, c: UNetConfig, width: int, heads: int, layers: int) -> None:
        super().__init__()
        inner = width // heads * heads
        self.norm = GroupNorm(c.norm_num_groups, width, 1e-6)
        if c.use_linear_projection:
            self.proj_in: nn.Linear | nn.Conv2d = nn.Linear(width, inner)
            self.proj_out: nn.Linear | nn.Conv2d = nn.Linear(inner, width)
        else:
            self.proj_in, self.proj_out = nn.Conv2d(width, inner, 1), nn.Conv2d(inner, width, 1)
        self.transformer_blocks: Any = nn.ModuleList(
            _Layer(inner, heads, c.cross_attention_dim) for _ in range(layers)
        )

    def forward(self, x: Tensor, pairs: Iterator[LayerKV]) -> Tensor:
        """x: [N, width, h, w]. Takes one pair of keys and values a layer from `pairs`."""
        rows, width, height, wide = x.shape
        # In channels_last, pixels × channels is the same memory (on a card PyTorch's GroupNorm is planar, and this a
        # copy): a 1×1 convolution is a linear layer on it.
        tokens = self.norm(x).permute(0, 2, 3, 1).reshape(rows, height * wide, width)
        h = functional.linear(tokens, self.proj_in.weight.flatten(1), self.proj_in.bias)
        for layer in self.transformer_blocks:
            h = layer(h, next(pairs))
        h = functional.linear(h, self.proj_out.weight.flatten(1), self.proj_out.bias)
        return x + h.view(rows, height, wide, width).permute(0, 3, 1, 2)


class _Layer(nn.Module):
    def __init__(self, width: int, heads: int, text_width: int) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.attn1 = _Attention(width, heads, width)
        self.attn2 = _Attention(width, heads, text_width)
        self.ff = _FeedForward(width)

    def project_text(self, embeds: Tensor) -> LayerKV:
        key, value = self.attn2.keys_values(embeds)
        return key.contiguous(), value.contiguous()

    def forward(self, x: Tensor, text: LayerKV) -> Tensor:
        h = self.norm1(x)
        x = x + self.attn1.over_itself(h)
        x += self.attn2(self.norm2(x), text)
        x += self.ff(self.norm3(x))
        return x


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int, source_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(source_width, width, bias=False)
        self.to_v = nn.Linear(source_width, width, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(width, width)])
        self._fused: Tensor | None = None

    def fuse(self) -> None:
        """See `UNet.fuse_attention`."""
        parts = (self.to_q, self.to_k, self.to_v)
        if self._fused is None and all(isinstance(part, nn.Linear) for part in parts):
            fused = torch.cat([part.weight.data for part in parts])
            for part, rows in zip(parts, fused.chunk(3), strict=True):
                part.weight.data = rows
            self._fused = fused

    def unfuse(self) -> None:
        self._fused = None

    def over_itself(self, x: Tensor) -> Tensor:
        """Self-attention of tokens [R, L, width]."""
        if self._fused is None:
            return self._read(self._split(self.to_q(x)), self.keys_values(x))
        query, key, value = (self._split(t) for t in functional.linear(x, self._fused).chunk(3, dim=-1))
        return self._read(query, (key, value))

    def keys_values(self, source: Tensor) -> LayerKV:
        """Of tokens [R, L, source width]: each [R, heads, L, width / heads], views."""
        return self._split(self.to_k(source)), self._split(self.to_v(source))

    def forward(self, x: Tensor, source: LayerKV) -> Tensor:
        key, value = source
        if key.shape[0] != x.shape[0]:
            key, value = (t.expand(x.shape[0], -1, -1, -1) for t in source)
        return self._read(self._split(self.to_q(x)), (key, value))

    def _read(self, query: Tensor, source: LayerKV) -> Tensor:
        read = scaled_dot_product_attention(query, *source)
        out: Tensor = self.to_out[0](read.transpose(1, 2).flatten(2))
        return out

    def _split(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)


class _FeedForward(nn.Module):
    """GEGLU: (W₁ x) · gelu(W₂ x), both from one matrix, then back. `net.1` is diffusers' dropout."""

    def __init__(self, width: int) -> None:
        super().__init__()
        gate = nn.Module()
        gate.proj = nn.Linear(width, 8 * width)
        self.net: Any = nn.ModuleList([gate, nn.Identity(), nn.Linear(4 * width, width)])

    def forward(self, x: Tensor) -> Tensor:
        h, gate = self.net[0].proj(x).chunk(2, dim=-1)
        out: Tensor = self.net[2](h * functional.gelu(gate))
        return out
