"""A model in the diffusers layout: one folder a part, `model_index.json` beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.errors import ModelError
from pipeline.models.clip import ClipConfig, ClipText, clip_weights
from pipeline.models.files import in_words, read_json, read_settings, read_weights
from pipeline.models.modules import filled
from pipeline.models.parts import Hints, Parts
from pipeline.models.tiny_vae import TinyVae
from pipeline.models.tokenizer import load_tokenizer
from pipeline.models.unet import UNet
from pipeline.models.unet_config import UNetConfig
from pipeline.models.vae import FullVae, LatentCodec

Progress = Callable[[str, float | None], None]
"""(what is going on, the share of it that is done 0 to 1 or None)."""


def load_folder(folder: Path, *, vae: Path | None, allow_pickle: bool, progress: Progress) -> Parts:
    """Read a diffusers folder, with another VAE's folder in place of its own where given.

    Raises ModelError naming the file and key of whatever is missing, broken or of an unsupported kind.
    """
    with in_words(folder / "model_index.json"):
        _supported(folder)
    progress("text encoder", 0.0)
    text = folder / "text_encoder"
    with in_words(text):
        config = ClipConfig.read(read_settings(text / "config.json"))
        weights = clip_weights(read_weights(text, "model", allow_pickle=allow_pickle))
        text_encoder = filled(lambda: ClipText(config), weights, text)
    with in_words(folder / "tokenizer"):
        tokenizer = load_tokenizer(folder / "tokenizer", config.max_position_embeddings)
    progress("denoiser", 0.1)
    unet = load_unet(folder / "unet", allow_pickle=allow_pickle)
    progress("autoencoder", 0.8)
    codec = load_vae(vae or folder / "vae", allow_pickle=allow_pickle)
    progress("autoencoder", 1.0)
    hints_file = folder / "phosphene.json"
    with in_words(hints_file):
        hints = Hints.read(read_json(hints_file), hints_file) if hints_file.is_file() else Hints()
    scheduler = read_json(folder / "scheduler" / "scheduler_config.json")
    return Parts(unet, codec, text_encoder, tokenizer, scheduler, hints)


def _supported(folder: Path) -> None:
    """Raises ModelError for a family of models that this program does not know."""
    index = read_json(folder / "model_index.json")
    for part, wanted in (("unet", "UNet2DConditionModel"), ("text_encoder", "CLIPTextModel")):
        if (found := (index.get(part) or [None, None])[1]) != wanted:
            raise ModelError(
                f"{folder / 'model_index.json'}: {part} is {found or 'missing'}, not {wanted}",
                "use a Stable Diffusion 1.x, 2.x or Turbo model",
            )
    if (index.get("text_encoder_2") or [None])[0] is not None:
        raise ModelError(
            f"{folder}: a model with two text encoders (SDXL) is not supported", "use SD 1.5, 2.1 or Turbo"
        )


def load_unet(folder: Path, *, allow_pickle: bool) -> UNet:
    """A UNet2DConditionModel's folder."""
    with in_words(folder):
        config = UNetConfig.read(_settings(folder), folder / "config.json")
        weights = read_weights(folder, "diffusion_pytorch_model", allow_pickle=allow_pickle)
        return filled(lambda: UNet(config), weights, folder)


def load_vae(folder: Path, *, allow_pickle: bool) -> LatentCodec:
    """An AutoencoderTiny or AutoencoderKL from its folder (which may also be a whole model's)."""
    if not (folder / "config.json").is_file() and (folder / "vae" / "config.json").is_file():
        folder = folder / "vae"
    with in_words(folder):
        return _load_vae(folder, allow_pickle=allow_pickle)


def _load_vae(folder: Path, *, allow_pickle: bool) -> LatentCodec:
    config = _settings(folder)
    kind = config.get("_class_name")
    weights = read_weights(folder, "diffusion_pytorch_model", allow_pickle=allow_pickle)
    if kind == "AutoencoderTiny":
        return LatentCodec(filled(lambda: TinyVae(config, folder / "config.json"), weights, folder), config)
    if kind == "AutoencoderKL":
        return full_vae({k: v for k, v in config.items() if not k.startswith("_")}, weights, folder)
    raise ModelError(
        f"{folder}: the VAE is {kind}, not AutoencoderTiny or AutoencoderKL",
        "choose one in model.vae, such as madebyollin/taesd for Stable Diffusion 1.x and 2.x",
    )


def full_vae(config: dict[str, Any], weights: dict[str, Any], where: Path) -> LatentCodec:
    """diffusers' AutoencoderKL with these settings and weights. Raises ModelError naming `where`."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    def make() -> Any:
        try:
            return AutoencoderKL(**config)
        except (ValueError, TypeError, KeyError, NotImplementedError) as e:
            raise ModelError(f"{where}: {e}", "choose another VAE in model.vae") from e

    return LatentCodec(FullVae(filled(make, _kl_names(weights), where)), config)


def _settings(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise ModelError(f"{folder} is missing", "the model's folder is incomplete: download it again")
    return read_settings(folder / "config.json")


_OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def _kl_names(weights: dict[str, Any]) -> dict[str, Any]:
    """Attention weights under today's names (SD 1.5's own VAE has those of 2022, some of them as 1×1
    convolutions)."""

    def renamed(key: str) -> str:
        if ".attentions." not in key:
            return key
        stem, _, kind = key.rpartition(".")
        head, _, last = stem.rpartition(".")
        return f"{head}.{_OLD_ATTENTION.get(last, last)}.{kind}"

    return {
        renamed(k): v.flatten(1) if ".attentions." in k and v.ndim == 4 else v for k, v in weights.items()
    }
