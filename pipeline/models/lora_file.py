"""LoRA files: kohya's and diffusers' (old and peft) names, checked key by key against the model's layers."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.errors import ModelError
from pipeline.models.files import read_safetensors, refuse_pickle

Layers = Mapping[str, nn.Linear | nn.Conv2d]
"""The model's layers by dotted name: "unet.mid_block…", "text_encoder.encoder.layers.0…"."""


@dataclass(frozen=True, eq=False, slots=True)
class LowRank:
    """ΔW = scale · up @ down. down: [r, in] or [r, in, k, k]; up: [out, r] (or [out, r, 1, 1]); scale =
    α/r."""

    down: Tensor
    up: Tensor
    scale: float

    def delta(self, device: torch.device) -> Tensor:
        """ΔW as [out, in·k·k], float32."""
        up, down = self.up.to(device, torch.float32), self.down.to(device, torch.float32)
        return self.scale * (up.flatten(1) @ down.flatten(1))


_ENDINGS = {
    ".lora_down.weight": "down",
    ".lora_up.weight": "up",
    ".lora_A.weight": "down",
    ".lora_B.weight": "up",
    ".lora_A.default.weight": "down",
    ".lora_B.default.weight": "up",
    ".lora.down.weight": "down",
    ".lora.up.weight": "up",
    "_lora.down.weight": "down",
    "_lora.up.weight": "up",
    ".lora_linear_layer.down.weight": "down",
    ".lora_linear_layer.up.weight": "up",
    ".alpha": "alpha",
}


def read_lora(name: str, file: Path, layers: Layers) -> dict[str, LowRank]:
    """The changes of one LoRA file by the model's own layer names.

    Raises ModelError naming the LoRA: a pickle, a broken file, a key that is no plain LoRA (LoHa, LoKr,
    DoRA…), a layer that this model lacks, a shape that does not fit.
    """
    if file.suffix in {".bin", ".pt", ".pth", ".ckpt"}:
        refuse_pickle(file, allow_pickle=False)
    tensors = read_safetensors(file)
    if not tensors:
        raise ModelError(f"LoRA {name!r}: {file} is empty", "download it again")
    scales = _adapter_scales(file)
    by_flat_name = {key.replace(".", "_"): key for key in layers}
    parts: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        layer, role = _split(key)
        found = _layer_of(layer, layers, by_flat_name)
        if role is None or found is None:
            raise _misfit(name, file, f"{key!r} belongs to no layer of this model")
        parts.setdefault(found, {})[role] = tensor
    return {key: _low_rank(name, file, key, found, layers[key], scales) for key, found in parts.items()}


def _low_rank(
    name: str,
    file: Path,
    key: str,
    found: Mapping[str, Tensor],
    layer: nn.Linear | nn.Conv2d,
    scales: Mapping[str, Any],
) -> LowRank:
    if not {"up", "down"} <= found.keys():
        raise _misfit(name, file, f"{key} has only {', '.join(found)}")
    up, down = found["up"], found["down"]
    shape = tuple(layer.weight.shape)
    width_in = math.prod(shape[1:])
    if (
        up.ndim < 2
        or down.ndim < 2
        or up.flatten(1).shape[1] != down.shape[0]
        or ((up.shape[0], down.flatten(1).shape[1]) != (shape[0], width_in))
    ):
        raise _misfit(
            name,
            file,
            f"{key} changes {up.shape[0]}×{down.flatten(1).shape[1]} weights, "
            f"the model's layer has {shape[0]}×{width_in}",
        )
    rank = down.shape[0]
    alpha = float(found["alpha"]) if "alpha" in found else _alpha(key, rank, scales)
    if not all(bool(torch.isfinite(t).all()) for t in (up, down)) or not math.isfinite(alpha):
        raise _misfit(name, file, f"{key} holds values that are not finite")
    return LowRank(down, up, alpha / rank)


def _split(key: str) -> tuple[str, str | None]:
    """A tensor's name as (layer, "down" | "up" | "alpha"), the role None where it is none of them."""
    for ending, role in _ENDINGS.items():
        if key.endswith(ending):
            return key.removesuffix(ending), role
    return key, None


def _layer_of(name: str, layers: Layers, by_flat_name: Mapping[str, str]) -> str | None:
    """The model's dotted layer name for a file's: kohya's flat names and diffusers' older spellings
    included."""
    for prefix, part in (("lora_unet_", "unet"), ("lora_te1_", "text_encoder"), ("lora_te_", "text_encoder")):
        if name.startswith(prefix):
            flat = name.removeprefix(prefix)
            return by_flat_name.get(f"{part}_{flat.removeprefix('text_model_')}")
    name = name.replace("base_model.model.", "").replace(".processor.", ".")
    if not name.startswith(("unet.", "text_encoder.")):
        name = f"unet.{name}"
    name = name.replace("text_encoder.text_model.", "text_encoder.")
    name = re.sub(r"\.to_out$", ".to_out.0", name)
    return name if name in layers else None


def _adapter_scales(file: Path) -> dict[str, Any]:
    """peft's settings, which diffusers keeps in the file's header since 0.34 ("unet.lora_alpha", "unet.r",
    …)."""
    from safetensors import safe_open

    with safe_open(str(file), framework="pt") as opened:
        text = (opened.metadata() or {}).get("lora_adapter_metadata", "{}")
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _alpha(key: str, rank: int, scales: Mapping[str, Any]) -> float:
    """α of one layer where the file has no `.alpha` tensor: from peft's settings, else α = r."""
    part, _, layer = key.partition(".")
    pattern = scales.get(f"{part}.alpha_pattern") or {}
    for name, alpha in pattern.items():
        if layer == name or layer.endswith(f".{name}"):
            return float(alpha)
    alpha = scales.get(f"{part}.lora_alpha")
    if alpha is None:
        return float(rank)
    return float(alpha) * (math.sqrt(rank) if scales.get(f"{part}.use_rslora") else 1.0)


def _misfit(name: str, file: Path, what: str) -> ModelError:
    return ModelError(
        f"LoRA {name!r} does not fit: {what} ({file.name})",
        "use a plain LoRA made for this model's family (SD 1.5, SD 2.1 or Turbo), or take it out",
    )
