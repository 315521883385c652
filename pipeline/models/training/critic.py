"""A patch discriminator for each style, and the average of weights that is saved in the end."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from pipeline.models.training.styles import STYLES


class Critic(nn.Module):
    """Pictures and the photographs they were made from, each [N, 3, H, W] in 0–1 → one score a patch of 8×8.

    One output channel a style: the scores returned, [N, 1, H/8, W/8], are of the style that was asked for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(6, 48, 4, 2, 1), nn.LeakyReLU(0.2),
            nn.Conv2d(48, 96, 4, 2, 1), nn.GroupNorm(8, 96), nn.LeakyReLU(0.2),
            nn.Conv2d(96, 160, 4, 2, 1), nn.GroupNorm(8, 160), nn.LeakyReLU(0.2),
            nn.Conv2d(160, 160, 3, 1, 1), nn.LeakyReLU(0.2),
            nn.Conv2d(160, len(STYLES), 3, 1, 1),
        )  # fmt: skip

    def forward(self, pictures: Tensor, photographs: Tensor, styles: Tensor) -> Tensor:
        with torch.autocast(pictures.device.type, dtype=torch.bfloat16):
            scores: Tensor = self.layers(torch.cat([pictures, photographs], 1) * 2 - 1)
        scores = scores.float()
        asked = styles.view(-1, 1, 1, 1).expand(-1, 1, *scores.shape[-2:])
        of_style: Tensor = scores.gather(1, asked)
        return of_style


def hinge(of_targets: Tensor, of_outputs: Tensor) -> Tensor:
    """The critic's own loss: targets above 1, outputs below −1."""
    return functional.relu(1 - of_targets).mean() + functional.relu(1 + of_outputs).mean()


class Averaged:
    """Exponential moving average of the floating-point weights of several modules, updated every 4 steps."""

    EVERY = 4

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        self._modules = modules
        self._average = {key: value.detach().clone().float() for key, value in self._weights()}

    def _weights(self) -> list[tuple[tuple[str, str], Tensor]]:
        return [
            ((name, key), value)
            for name, module in self._modules.items()
            for key, value in module.state_dict().items()
            if value.dtype.is_floating_point
        ]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """After step `step`: a short memory while everything still moves, a long one later."""
        if step % self.EVERY:
            return
        keep = 0.9985**self.EVERY if step > 1500 else 0.99
        for key, value in self._weights():
            self._average[key].lerp_(value.float(), 1 - keep)

    @torch.no_grad()
    def apply(self) -> None:
        """The average becomes the modules' weights."""
        for key, value in self._weights():
            value.copy_(self._average[key])
