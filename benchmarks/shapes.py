"""Models for the benchmarks: the built-in one, and random weights of a known shape, saved as a diffusers folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[1]
BUILTIN = ROOT / "pipeline" / "models" / "builtin"


@dataclass(frozen=True)
class Shape:
    """channels, heads: of the UNet's levels. text: its cross-attention's width. edge: pixels a side. vae: channels."""

    channels: tuple[int, ...]
    heads: tuple[int, ...]
    text: int
    edge: int
    vae: int


SHAPES = {
    "sd-turbo": Shape((320, 640, 1280, 1280), (5, 10, 20, 20), 1024, 512, 64),
    "tiny": Shape((32, 64, 64, 64), (1, 2, 2, 2), 32, 64, 8),
}


def folder_of(shape: str, below: Path, device: torch.device, dtype: torch.dtype) -> Path:
    """A random model of that shape on disk; made once. Its weights change no time."""
    folder = below / f"{shape}-{str(dtype).removeprefix('torch.')}"
    if not (folder / "model_index.json").exists():
        random_pipeline(SHAPES[shape], device).to(dtype=dtype).save_pretrained(folder)
    return folder


def random_pipeline(shape: Shape, device: torch.device) -> Any:
    """A Stable Diffusion pipeline with a tiny VAE; a text encoder of two layers, which runs once a prompt."""
    import diffusers
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    diffusers.utils.logging.set_verbosity_error()
    torch.manual_seed(0)
    tokenizer = CLIPTokenizer.from_pretrained(BUILTIN / "tokenizer", model_max_length=77)
    ends = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    with device:
        unet = diffusers.UNet2DConditionModel(
            sample_size=shape.edge // 8, block_out_channels=shape.channels, attention_head_dim=shape.heads,
            cross_attention_dim=shape.text, use_linear_projection=True,
        )  # fmt: skip
        vae = diffusers.AutoencoderTiny(
            encoder_block_out_channels=(shape.vae,) * 4, decoder_block_out_channels=(shape.vae,) * 4
        )
        text = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(tokenizer), hidden_size=shape.text, intermediate_size=4 * shape.text,
                num_hidden_layers=2, num_attention_heads=max(1, shape.text // 64), projection_dim=shape.text,
                max_position_embeddings=77, hidden_act="gelu", **ends,
            )
        )  # fmt: skip
    scheduler = diffusers.EulerDiscreteScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, steps_offset=1
    )
    return diffusers.StableDiffusionPipeline(
        vae=vae, text_encoder=text, tokenizer=tokenizer, unet=unet, scheduler=scheduler, safety_checker=None,
        feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
