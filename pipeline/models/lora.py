"""LoRA: low-rank changes of a model's weights, W = W₀ + Σ w_i · (α_i/r_i) · B_i A_i, fused, and switched live
by w_i.

Fused weights cost nothing a frame. A new set of weights is written into the same tensors between two frames,
so a captured CUDA graph stays valid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from pipeline.errors import ModelError
from pipeline.models.lora_file import LowRank, read_lora


@dataclass(frozen=True, eq=False, slots=True)
class _Lora:
    weight: float
    """As loaded: in force wherever `set_weights` does not name this LoRA."""
    changes: dict[str, LowRank]


class Loras:
    """The LoRAs of one model. `load` from any thread; `set_weights` between two frames of the denoiser's
    thread."""

    def __init__(self, unet: nn.Module, text_encoder: nn.Module) -> None:
        self._layers = {
            f"{part}.{name}": layer
            for part, root in (("unet", unet), ("text_encoder", text_encoder))
            for name, layer in root.named_modules()
            if isinstance(layer, nn.Linear | nn.Conv2d)
        }
        self._loaded: dict[str, _Lora] = {}
        self._original: dict[str, Tensor] = {}
        self._in_force: dict[str, float] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Every loaded LoRA, in the order of loading."""
        return tuple(self._loaded)

    @property
    def weights_key(self) -> tuple[tuple[str, float], ...]:
        """The weights in force, hashable and sorted: whatever was computed with them can be cached under
        it."""
        return tuple(sorted((n, w) for n, w in self._in_force.items() if w != 0.0))

    def load(self, name: str, file: Path, weight: float = 0.0) -> None:
        """Read one LoRA under `name`; it takes force at the next `set_weights` (`weight` where that does not
        name it).

        Raises ModelError with the LoRA's name when the file is broken, uses something else than plain LoRA,
        or holds a layer or a shape that this model has not: nothing of a file is ever ignored.
        """
        if name not in self._loaded:
            self._loaded[name] = _Lora(weight, read_lora(name, file, self._layers))

    @torch.inference_mode()
    def set_weights(self, weights: Mapping[str, float]) -> None:
        """Put these weights in force, and for every LoRA not named here the weight it was loaded with.

        Raises ModelError for a name that was not loaded or a weight that is not finite; nothing is changed
        then.
        """
        for name, weight in weights.items():
            if name not in self._loaded:
                known = ", ".join(self._loaded) or "none"
                raise ModelError(
                    f"LoRA {name!r} is not loaded (loaded: {known})", "load it before its weight is set"
                )
            if not abs(weight) < 1e3:
                raise ModelError(
                    f"LoRA {name!r}: weight {weight} is out of range", "use a weight between -2 and 2"
                )
        wanted = {n: float(weights.get(n, lora.weight)) for n, lora in self._loaded.items()}
        changed = [n for n, w in wanted.items() if w != self._in_force.get(n, 0.0)]
        for key in {key for n in changed for key in self._loaded[n].changes}:
            self._write(key, wanted)
        self._in_force = wanted

    def _write(self, key: str, weights: Mapping[str, float]) -> None:
        """W₀ + Σ w_i ΔW_i of one layer, summed in float32 and written over the layer's own tensor."""
        target = self._layers[key].weight
        original = self._original.setdefault(key, target.detach().clone())
        terms = [(weights[n], lora.changes[key]) for n, lora in self._loaded.items() if key in lora.changes]
        total = original.float()
        for weight, change in terms:
            if weight != 0.0:
                total = total + weight * change.delta(target.device).reshape(target.shape)
        target.copy_(total)
