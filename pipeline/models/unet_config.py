"""Which UNets are supported: the Stable Diffusion 1.x/2.x family, with any sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import ModelError


@dataclass(frozen=True, slots=True)
class UNetConfig:
    """The shape of a UNet, one entry a level from the finest to the coarsest. Names as in diffusers'
    config.json.

    heads: attention heads of a level; transformer_layers: blocks in each of its transformers.
    """

    in_channels: int
    out_channels: int
    sample_size: int
    block_out_channels: tuple[int, ...]
    layers_per_block: tuple[int, ...]
    transformer_layers: tuple[int, ...]
    heads: tuple[int, ...]
    crossed_down: tuple[bool, ...]
    crossed_up: tuple[bool, ...]
    has_middle: bool
    cross_attention_dim: int
    use_linear_projection: bool
    norm_num_groups: int
    norm_eps: float
    flip_sin_to_cos: bool
    freq_shift: float

    @staticmethod
    def read(config: Mapping[str, Any], where: Path) -> UNetConfig:
        """From a UNet2DConditionModel's config.json. Raises ModelError naming a key that is not supported."""
        for key, value in config.items():
            if key in _FIXED and value not in _FIXED[key]:
                raise ModelError(
                    f"{where}: a UNet with {key} {value!r} is not supported",
                    "use a plain Stable Diffusion 1.x, 2.x or Turbo model",
                )
        c = {**_DEFAULTS, **{k: v for k, v in config.items() if v is not None}}
        middle = config.get("mid_block_type", "UNetMidBlock2DCrossAttn")
        levels = len(c["block_out_channels"])
        size = c["sample_size"]
        # diffusers calls the number of heads `attention_head_dim` in Stable Diffusion's configs.
        heads = c.get("num_attention_heads", c["attention_head_dim"])
        known = UNetConfig(
            in_channels=c["in_channels"],
            out_channels=c["out_channels"],
            sample_size=size if isinstance(size, int) else min(size),
            block_out_channels=tuple(c["block_out_channels"]),
            layers_per_block=_each(c["layers_per_block"], levels),
            transformer_layers=_each(c["transformer_layers_per_block"], levels),
            heads=_each(heads, levels),
            crossed_down=_crossed(c["down_block_types"], "CrossAttnDownBlock2D", "DownBlock2D", where),
            crossed_up=_crossed(c["up_block_types"], "CrossAttnUpBlock2D", "UpBlock2D", where),
            has_middle=middle is not None,
            cross_attention_dim=c["cross_attention_dim"],
            use_linear_projection=c["use_linear_projection"],
            norm_num_groups=c["norm_num_groups"],
            norm_eps=c["norm_eps"],
            flip_sin_to_cos=c["flip_sin_to_cos"],
            freq_shift=c["freq_shift"],
        )
        if not len(known.crossed_down) == len(known.crossed_up) == levels:
            raise ModelError(f"{where}: the numbers of blocks do not agree", "download the model again")
        if not isinstance(known.cross_attention_dim, int):
            raise ModelError(f"{where}: one text width per block is not supported", "use a plain SD model")
        return known


_DEFAULTS: dict[str, Any] = {
    "in_channels": 4,
    "out_channels": 4,
    "sample_size": 64,
    "block_out_channels": (320, 640, 1280, 1280),
    "layers_per_block": 2,
    "transformer_layers_per_block": 1,
    "attention_head_dim": 8,
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    "cross_attention_dim": 1280,
    "use_linear_projection": False,
    "norm_num_groups": 32,
    "norm_eps": 1e-5,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
}
"""diffusers' own: a config.json may leave them out."""

_FIXED: dict[str, tuple[Any, ...]] = {
    "_class_name": ("UNet2DConditionModel",),
    "act_fn": ("silu", "swish"),
    "addition_embed_type": (None,),
    "attention_type": ("default",),
    "center_input_sample": (False,),
    "class_embed_type": (None,),
    "conv_in_kernel": (3,),
    "conv_out_kernel": (3,),
    "cross_attention_norm": (None,),
    "downsample_padding": (1,),
    "dual_cross_attention": (False,),
    "encoder_hid_dim": (None,),
    "encoder_hid_dim_type": (None,),
    "mid_block_only_cross_attention": (None, False),
    "mid_block_scale_factor": (1,),
    "mid_block_type": ("UNetMidBlock2DCrossAttn", None),
    "num_class_embeds": (None,),
    "only_cross_attention": (False,),
    "resnet_out_scale_factor": (1,),
    "resnet_skip_time_act": (False,),
    "resnet_time_scale_shift": ("default",),
    "reverse_transformer_layers_per_block": (None,),
    "time_cond_proj_dim": (None,),
    "time_embedding_act_fn": (None,),
    "time_embedding_dim": (None,),
    "time_embedding_type": ("positional",),
    "timestep_post_act": (None,),
}
"""Settings of other families, and the values they have in this one."""


def _each(value: int | Sequence[int], levels: int) -> tuple[int, ...]:
    return (value,) * levels if isinstance(value, int) else tuple(value)


def _crossed(kinds: Sequence[str], crossed: str, plain: str, where: Path) -> tuple[bool, ...]:
    for kind in kinds:
        if kind not in (crossed, plain):
            raise ModelError(
                f"{where}: a UNet with {kind} blocks is not supported",
                "use a plain Stable Diffusion 1.x, 2.x or Turbo model",
            )
    return tuple(kind == crossed for kind in kinds)
