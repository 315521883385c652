"""The untrained parts, in the shapes of the built-in model's own configs, and how they are saved."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.models.load import BUILTIN
from pipeline.models.training.tokenizer import build_tokenizer


@dataclass(frozen=True, eq=False, slots=True)
class Networks:
    """AutoencoderTiny, UNet2DConditionModel, CLIPTextModel, CLIPTokenizer, LCMScheduler and its ᾱ [1000]."""

    vae: Any
    unet: Any
    text_encoder: Any
    tokenizer: Any
    scheduler: Any
    alphas_cumprod: Tensor
    device: torch.device

    def latents(self, pictures: Tensor) -> Tensor:
        """Pictures [N, 3, H, W] in 0–1 to the VAE's raw latents [N, C, H/8, W/8]."""
        z: Tensor = self.vae.encoder(pictures * 2 - 1)
        return z

    def pictures(self, latents: Tensor) -> Tensor:
        """Raw latents to pictures in 0–1 (not clipped), float32."""
        decoded: Tensor = self.vae.decoder(latents)
        return decoded.float() * 0.5 + 0.5

    def embeds(self, tokens: Tensor) -> Tensor:
        """Token ids [N, L] to embeddings [N, L, D]."""
        out: Tensor = self.text_encoder(tokens)[0]
        return out


def build_networks(device: torch.device, *, configs: Path = BUILTIN) -> Networks:
    """Fresh weights from torch's generator; of the diffusers folder `configs` only the configs are read."""
    from diffusers import AutoencoderTiny, LCMScheduler, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    def config(part: str, file: str = "config.json") -> dict[str, Any]:
        values = json.loads((configs / part / file).read_text("utf-8"))
        return {key: value for key, value in values.items() if not key.startswith("_")}

    of_vae = config("vae")
    of_vae.pop("block_out_channels", None)  # written by diffusers, not read by it
    of_vae["scaling_factor"] = 1.0  # known when the autoencoder is trained
    tokenizer = build_tokenizer()
    of_text = config("text_encoder") | {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    of_text.pop("dtype", None)
    vae, unet = AutoencoderTiny(**of_vae).to(device), UNet2DConditionModel(**config("unet")).to(device)
    scheduler = LCMScheduler(**config("scheduler", "scheduler_config.json"))
    return Networks(
        vae=vae.to(memory_format=torch.channels_last),
        unet=unet.to(memory_format=torch.channels_last),
        text_encoder=CLIPTextModel(CLIPTextConfig(**of_text)).to(device),
        tokenizer=tokenizer,
        scheduler=scheduler,
        alphas_cumprod=scheduler.alphas_cumprod.to(device),
        device=device,
    )


def save(networks: Networks, folder: Path, scale: float) -> None:
    """An ordinary diffusers folder, float16. `scale`: the latents' scaling factor, for the VAE's config."""
    from diffusers import StableDiffusionPipeline

    networks.vae.register_to_config(scaling_factor=scale)

    def half(part: Any) -> Any:
        return copy.deepcopy(part).eval().half().to(memory_format=torch.contiguous_format)

    StableDiffusionPipeline(
        vae=half(networks.vae),
        unet=half(networks.unet),
        text_encoder=half(networks.text_encoder),
        tokenizer=networks.tokenizer,
        scheduler=networks.scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder, safe_serialization=True)
