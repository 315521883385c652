"""A Stable Diffusion 1.x or 2.x checkpoint in one `.safetensors` file (CompVis names).

Every size is read off the tensors' shapes, so no configuration is fetched; what shapes cannot tell (heads,
the activation, the tokenizer) follows from which of CLIP's two text encoders the file holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from pipeline.errors import ModelError
from pipeline.models.files import read_pickle, read_safetensors
from pipeline.models.folder import Progress, full_vae, load_vae
from pipeline.models.modules import filled
from pipeline.models.parts import Hints, Parts
from pipeline.models.single_file_text import single_file_text
from pipeline.models.unet import UNet
from pipeline.models.unet_config import UNetConfig
from pipeline.models.vae import LatentCodec

_UNET = "model.diffusion_model."
_VAE = "first_stage_model."

SCHEDULER = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
"""Of every Stable Diffusion 1.x and 2.x."""


def load_single_file(file: Path, *, vae: Path | None, allow_pickle: bool, progress: Progress) -> Parts:
    """Read one file, with another VAE's folder in place of its own where given. No network.

    Raises ModelError naming the file: a pickle that was not allowed, a broken file, no Stable Diffusion
    1.x/2.x.
    """
    progress(f"reading {file.name}", 0.0)
    is_safe = file.suffix == ".safetensors"
    tensors = read_safetensors(file) if is_safe else read_pickle(file, allow_pickle=allow_pickle)
    if any(k.startswith("conditioner.embedders.") for k in tensors):
        raise ModelError(f"{file}: an SDXL model is not supported", "use SD 1.5, 2.1 or Turbo")
    if not any(k.startswith(_UNET) for k in tensors):
        raise ModelError(
            f"{file} is no whole Stable Diffusion model: it has no {_UNET}… tensors",
            "a LoRA goes under loras:, a VAE's folder under vae:",
        )
    progress("text encoder", 0.2)
    text_encoder, tokenizer, is_version_2 = single_file_text(tensors, file)
    progress("denoiser", 0.3)
    unet = _unet(tensors, file, head_width=64 if is_version_2 else None)
    progress("autoencoder", 0.9)
    codec = load_vae(vae, allow_pickle=allow_pickle) if vae is not None else _vae(tensors, file)
    scheduler = {**SCHEDULER, "prediction_type": _prediction_type(file, tensors)}
    return Parts(unet, codec, text_encoder, tokenizer, scheduler, Hints(default_size=512))


def _unet(tensors: Mapping[str, Tensor], file: Path, head_width: int | None) -> UNet:
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

    try:
        config = _unet_config(
            {k.removeprefix(_UNET): v for k, v in tensors.items() if k.startswith(_UNET)}, head_width
        )
        weights = convert_ldm_unet_checkpoint(dict(tensors), config)
    except (KeyError, IndexError, ValueError) as e:
        raise ModelError(
            f"{file}: the denoiser is no Stable Diffusion 1.x or 2.x UNet ({e})", "use another model"
        ) from e
    shape = UNetConfig.read(config, file)
    return filled(lambda: UNet(shape), weights, file)


def _unet_config(unet: Mapping[str, Tensor], head_width: int | None) -> dict[str, Any]:
    """A UNet2DConditionModel's settings from its tensors. head_width None: 8 heads in every layer (SD
    1.x)."""
    downs = sorted(
        int(k.split(".")[1]) for k in unet if k.startswith("input_blocks.") and k.endswith(".0.op.weight")
    )
    layers = downs[0] - 1
    firsts = [1, *(i + 1 for i in downs)]
    channels = [unet[f"input_blocks.{i}.0.out_layers.3.weight"].shape[0] for i in firsts]
    crossed = [f"input_blocks.{i}.1.norm.weight" in unet for i in firsts]
    kind = next(k for k in unet if k.endswith("attn2.to_k.weight"))
    depth = {k.split("transformer_blocks.")[1].split(".")[0] for k in unet if ".transformer_blocks." in k}
    return {
        "sample_size": 64,
        "in_channels": unet["input_blocks.0.0.weight"].shape[1],
        "out_channels": unet["out.2.weight"].shape[0],
        "block_out_channels": tuple(channels),
        "layers_per_block": layers,
        "down_block_types": tuple("CrossAttnDownBlock2D" if c else "DownBlock2D" for c in crossed),
        "up_block_types": tuple("CrossAttnUpBlock2D" if c else "UpBlock2D" for c in reversed(crossed)),
        "cross_attention_dim": unet[kind].shape[1],
        "attention_head_dim": tuple(c // head_width for c in channels) if head_width else 8,
        "use_linear_projection": unet["middle_block.1.proj_in.weight"].ndim == 2,
        "transformer_layers_per_block": len(depth),
    }


def _vae(tensors: Mapping[str, Tensor], file: Path) -> LatentCodec:
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

    vae = {k: v for k, v in tensors.items() if k.startswith(_VAE)}
    if not vae:
        raise ModelError(f"{file} has no autoencoder", "give one in model.vae, such as madebyollin/taesd")
    levels = {int(k.split("encoder.down.")[1].split(".")[0]) for k in vae if "encoder.down." in k}
    blocks = {
        k.split(".block.")[1].split(".")[0] for k in vae if k.startswith(f"{_VAE}encoder.down.0.block.")
    }
    config = {
        "block_out_channels": tuple(
            vae[f"{_VAE}encoder.down.{i}.block.0.conv1.weight"].shape[0] for i in range(len(levels))
        ),
        "down_block_types": ("DownEncoderBlock2D",) * len(levels),
        "up_block_types": ("UpDecoderBlock2D",) * len(levels),
        "layers_per_block": len(blocks),
        "latent_channels": vae[f"{_VAE}decoder.conv_in.weight"].shape[1],
        "scaling_factor": 0.18215,
        "sample_size": 512,
    }
    try:
        weights = convert_ldm_vae_checkpoint(dict(vae), config)
    except (KeyError, IndexError, ValueError) as e:
        raise ModelError(
            f"{file}: the autoencoder is no Stable Diffusion VAE ({e})", "give one in model.vae"
        ) from e
    return full_vae(config, weights, file)


def _prediction_type(file: Path, tensors: Mapping[str, Tensor]) -> str:
    """From the file's own header or marker tensor, or a `.yaml` of the same name beside it, else epsilon."""
    import yaml

    if "v_pred" in tensors:
        return "v_prediction"
    if file.suffix == ".safetensors":
        from safetensors import safe_open

        with safe_open(str(file), framework="pt") as opened:
            told = (opened.metadata() or {}).get("modelspec.prediction_type", "")
        if told:
            return "v_prediction" if told.startswith("v") else "epsilon"
    beside = file.with_suffix(".yaml")
    if beside.is_file():
        try:
            data = yaml.safe_load(beside.read_text(encoding="utf-8"))
            told = data["model"]["params"].get("parameterization", "eps")
        except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as e:
            raise ModelError(
                f"{beside} is no Stable Diffusion configuration: {e}", "mend or remove it"
            ) from e
        return "v_prediction" if told == "v" else "epsilon"
    return "epsilon"
