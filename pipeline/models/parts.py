"""A model's parts before they are put on a device, and what joins them into a `Model`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.errors import ModelError
from pipeline.models.clip import ClipText
from pipeline.models.lora import Loras
from pipeline.models.model import Model, PredictionType
from pipeline.models.tokenizer import Tokenizer
from pipeline.models.unet import UNet
from pipeline.models.vae import LatentCodec


@dataclass(frozen=True, slots=True)
class Hints:
    """What no diffusers config says; from an optional `phosphene.json` in the model's folder.

    t_index_list: the model's best steps on the grid of 50. empty_prompt: the prompt that "" stands for.
    default_size: pixels a side, where the UNet's config does not tell.
    """

    t_index_list: tuple[int, ...] = (32, 45)
    empty_prompt: str = ""
    default_size: int | None = None

    @staticmethod
    def read(data: Mapping[str, Any], where: Path) -> Hints:
        """Raises ModelError naming the file and the key."""
        if unknown := data.keys() - Hints.__dataclass_fields__.keys():
            raise ModelError(
                f"{where}: unknown key {min(unknown)!r}", f"known: {', '.join(Hints.__dataclass_fields__)}"
            )
        hints = replace(Hints(), **data)
        steps = hints.t_index_list
        if (
            not isinstance(steps, Sequence)
            or not steps
            or any(not isinstance(t, int) or not 0 <= t < 50 for t in steps)
        ):
            raise ModelError(
                f"{where}: t_index_list {steps!r} is no list of whole numbers 0 to 49", "mend the file"
            )
        return replace(hints, t_index_list=tuple(steps))


@dataclass(frozen=True, eq=False, slots=True)
class Parts:
    """All on the CPU in the files' dtype. scheduler: its config."""

    unet: UNet
    vae: LatentCodec
    text_encoder: ClipText
    tokenizer: Tokenizer
    scheduler: Mapping[str, Any]
    hints: Hints


def alphas_cumprod(config: Mapping[str, Any]) -> Tensor:
    """ᾱ_t = Π (1 − β_s), float32 [1000], from a diffusers scheduler's config.

    β: scaled_linear (Stable Diffusion), linear, squaredcos_cap_v2 or given. Raises ModelError for another.
    """
    steps = int(config.get("num_train_timesteps", 1000))
    if steps != 1000:
        raise ModelError(
            f"the model was trained on {steps} timesteps, and only 1000 are supported", "use another model"
        )
    first, last = float(config.get("beta_start", 0.0001)), float(config.get("beta_end", 0.02))
    kind = config.get("beta_schedule", "linear")
    if (trained := config.get("trained_betas")) is not None:
        betas = torch.tensor(trained, dtype=torch.float64)
    elif kind == "scaled_linear":
        betas = torch.linspace(first**0.5, last**0.5, steps, dtype=torch.float64) ** 2
    elif kind == "linear":
        betas = torch.linspace(first, last, steps, dtype=torch.float64)
    elif kind == "squaredcos_cap_v2":
        bar = (
            torch.cos((torch.arange(steps + 1, dtype=torch.float64) / steps + 0.008) / 1.008 * torch.pi / 2)
            ** 2
        )
        betas = (1 - bar[1:] / bar[:-1]).clamp(max=0.999)
    else:
        raise ModelError(f"the scheduler's beta_schedule {kind!r} is not supported", "use another model")
    bars = torch.cumprod(1.0 - betas, dim=0)
    if config.get("rescale_betas_zero_snr"):
        # Lin et al. 2023 (arXiv 2305.08891), algorithm 1; the last ᾱ stays a hair above 0, as 1/√ᾱ is needed.
        root = bars.sqrt()
        bars = ((root - root[-1]) * root[0] / (root[0] - root[-1])).square().clamp(min=2.0**-24)
    if bars.shape != (steps,) or not bool(((bars > 0) & (bars < 1)).all()):
        raise ModelError("the scheduler's betas make no sense: ᾱ leaves 0 to 1", "download the model again")
    return bars.float()


def joined(name: str, parts: Parts, device: torch.device, dtype: torch.dtype) -> Model:
    """The parts as one `Model` on its device. Raises ModelError where they do not fit one another."""
    config = parts.unet.config
    codec = parts.vae
    channels, width = config.in_channels, parts.text_encoder.config.hidden_size
    if config.out_channels != channels:
        raise ModelError(
            f"{name}: the UNet takes {channels} channels and gives {config.out_channels}",
            "an inpainting or depth model? use a plain text-to-image one",
        )
    if codec.latent_channels != channels:
        raise ModelError(
            f"{name}: the VAE has {codec.latent_channels} latent channels, the UNet {channels}",
            "choose a VAE of the model's own family in model.vae, or leave it empty",
        )
    if config.cross_attention_dim != width:
        raise ModelError(
            f"{name}: the UNet reads text of width {config.cross_attention_dim}, the text encoder gives {width}",
            "the model's parts belong to different families: download it again",
        )
    prediction: PredictionType = parts.scheduler.get("prediction_type") or "epsilon"
    if prediction not in ("epsilon", "v_prediction", "sample"):
        raise ModelError(f"{name}: prediction_type {prediction!r} is not supported", "use another model")
    for part in (parts.unet, codec, parts.text_encoder):
        part.to(device=device, dtype=dtype)
    for part in (parts.unet, codec):
        part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Model(
        name=name,
        unet=parts.unet,
        vae=codec,
        text_encoder=parts.text_encoder,
        tokenizer=parts.tokenizer,
        loras=Loras(parts.unet, parts.text_encoder),
        prediction_type=prediction,
        alphas_cumprod=alphas_cumprod(parts.scheduler),
        latent_channels=channels,
        text_width=width,
        max_tokens=parts.tokenizer.max_tokens,
        default_size=parts.hints.default_size or config.sample_size * codec.scale,
        vae_scale=codec.scale,
        t_index_list=parts.hints.t_index_list,
        empty_prompt=parts.hints.empty_prompt,
        device=device,
        dtype=dtype,
    )
