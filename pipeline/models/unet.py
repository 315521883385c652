"""The UNet of Stable Diffusion 1.x/2.x (Rombach et al. 2022), for inference alone.

Parameters have the names of diffusers' UNet2DConditionModel, and a test holds both to the same output. It
exists because of three things that one leaves on the table: importing it takes seconds at every start of the
engine, its transformers leave the channels_last layout, and it projects the prompt again for every frame.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.cross_attention import KV
from pipeline.models.group_norm import GroupNorm
from pipeline.models.unet_blocks import Resnet, Transformer
from pipeline.models.unet_config import UNetConfig


class UNet(nn.Module):
    """Latents [N, C, h, w] at timesteps [N] under a prompt → the raw prediction (ε, v or x₀), same shape."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = c = config
        first = c.block_out_channels[0]
        self.conv_in = nn.Conv2d(c.in_channels, first, 3, padding=1)
        self.time_embedding = _TimeEmbedding(first)
        self.down_blocks: Any = nn.ModuleList()
        skips, width = [first], first
        for i, out in enumerate(c.block_out_channels):
            block = _Level(c, i, ins=[width] + [out] * (c.layers_per_block[i] - 1), crossed=c.crossed_down[i])
            skips += [out] * c.layers_per_block[i]
            if i < len(c.block_out_channels) - 1:
                block.add_module("downsamplers", nn.ModuleList([_Downsample(out)]))
                skips.append(out)
            self.down_blocks.append(block)
            width = out
        self.mid_block: Any = _Middle(c) if c.has_middle else None
        self.up_blocks: Any = nn.ModuleList()
        for j, i in enumerate(reversed(range(len(c.block_out_channels)))):
            out = c.block_out_channels[i]
            ins = [skips.pop() + (width if n == 0 else out) for n in range(c.layers_per_block[i] + 1)]
            block = _Level(c, i, ins=ins, crossed=c.crossed_up[j])
            if i > 0:
                block.add_module("upsamplers", nn.ModuleList([_Upsample(out)]))
            self.up_blocks.append(block)
            width = out
        self.conv_norm_out = GroupNorm(c.norm_num_groups, first, c.norm_eps)
        self.conv_out = nn.Conv2d(first, c.out_channels, 3, padding=1)

    @torch.inference_mode()
    def project_text(self, embeds: Tensor) -> KV:
        """Keys and values of prompt embeddings [R, L, D] in every cross-attention layer, in the order of
        use."""
        return tuple(
            layer.project_text(embeds) for t in self._transformers() for layer in t.transformer_blocks
        )

    def fuse_attention(self) -> None:
        """Queries, keys and values of self-attention from one matrix each: one kernel instead of three.

        The three matrices become views of it, so that LoRA weights written into them reach it.
        """
        for t in self._transformers():
            for layer in t.transformer_blocks:
                layer.attn1.fuse()

    def waves(self, timesteps: Tensor) -> Tensor:
        """Sinusoids of `timesteps` [N] (whole or not): float32 [N, first width].

        Apart, because in 16 bits an angle of 999 is off by half a radian: a compiler that is free to round gets the
        waves and not the timesteps.
        """
        half = self.config.block_out_channels[0] // 2
        steps = torch.arange(half, dtype=torch.float32, device=timesteps.device)
        frequencies = torch.exp(steps * (-math.log(10000.0) / (half - self.config.freq_shift)))
        angles = timesteps.float()[:, None] * frequencies
        cos_first = self.config.flip_sin_to_cos
        return torch.cat([angles.cos(), angles.sin()] if cos_first else [angles.sin(), angles.cos()], dim=-1)

    def forward(self, x: Tensor, timesteps: Tensor, kv: KV) -> Tensor:
        """kv: from `project_text`, of N rows or of one for all. Raises ValueError for another number of
        layers."""
        return self.predict(x, self.waves(timesteps), kv)

    def predict(self, x: Tensor, waves: Tensor, kv: KV) -> Tensor:
        """As `forward`, for timesteps given as `waves`."""
        layers = sum(len(t.transformer_blocks) for t in self._transformers())
        if len(kv) != layers:
            raise ValueError(f"{len(kv)} key/value pairs for a UNet of {layers} cross-attention layers")
        pairs = iter(kv)
        time = functional.silu(self.time_embedding(waves.to(x.dtype)))
        x = self.conv_in(x)
        skips = [x]
        for block in self.down_blocks:
            for n, resnet in enumerate(block.resnets):
                x = resnet(x, time)
                if block.attentions is not None:
                    x = block.attentions[n](x, pairs)
                skips.append(x)
            if hasattr(block, "downsamplers"):
                x = block.downsamplers[0](x)
                skips.append(x)
        if self.mid_block is not None:
            x = self.mid_block.resnets[0](x, time)
            x = self.mid_block.attentions[0](x, pairs)
            x = self.mid_block.resnets[1](x, time)
        for block in self.up_blocks:
            for n, resnet in enumerate(block.resnets):
                x = resnet(torch.cat([x, skips.pop()], dim=1), time)
                if block.attentions is not None:
                    x = block.attentions[n](x, pairs)
            if hasattr(block, "upsamplers"):
                x = block.upsamplers[0](x, skips[-1].shape[-2:])
        x = self.conv_norm_out.with_silu(x)
        out: Tensor = self.conv_out(x)
        return out

    def _transformers(self) -> list[Transformer]:
        """In the order of the forward pass, which is also that of the pairs in a `KV`."""
        blocks = [
            *self.down_blocks,
            *([self.mid_block] if self.mid_block is not None else []),
            *self.up_blocks,
        ]
        return [t for block in blocks if block.attentions is not None for t in block.attentions]


class _Level(nn.Module):
    """One resolution: residual blocks, each with a transformer behind it where the level is crossed."""

    def __init__(self, c: UNetConfig, i: int, *, ins: list[int], crossed: bool) -> None:
        super().__init__()
        out = c.block_out_channels[i]
        self.resnets = nn.ModuleList(Resnet(c, w, out) for w in ins)
        self.attentions = (
            nn.ModuleList(Transformer(c, out, c.heads[i], c.transformer_layers[i]) for _ in ins)
            if crossed
            else None
        )


class _Middle(nn.Module):
    def __init__(self, c: UNetConfig) -> None:
        super().__init__()
        width = c.block_out_channels[-1]
        self.resnets = nn.ModuleList(Resnet(c, width, width) for _ in range(2))
        self.attentions = nn.ModuleList([Transformer(c, width, c.heads[-1], c.transformer_layers[-1])])


class _TimeEmbedding(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(width, 4 * width)
        self.linear_2 = nn.Linear(4 * width, 4 * width)

    def forward(self, waves: Tensor) -> Tensor:
        """[N, width] → [N, 4·width]."""
        out: Tensor = self.linear_2(functional.silu(self.linear_1(waves)))
        return out


class _Downsample(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x)
        return out


class _Upsample(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor, size: torch.Size) -> Tensor:
        """To the size of the skip connection that comes next (twice, or one less where the latents were
        odd)."""
        out: Tensor = self.conv(functional.interpolate(x, size=(size[0], size[1]), mode="nearest"))
        return out
