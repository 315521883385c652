"""Targets where the training reads them: uint8 pictures of every style of every crop."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pipeline.models.training.networks import Networks
from pipeline.models.training.styles import PHOTO, STYLES


class Targets:
    """Pictures [crops, styles, H, W, 3] uint8 on the training device; read as [N, 3, H, W] in 0–1."""

    def __init__(self, pictures: npt.NDArray[np.uint8], device: torch.device) -> None:
        self._pictures = torch.from_numpy(np.ascontiguousarray(pictures)).to(device)
        self.device = device

    def __len__(self) -> int:
        return self._pictures.shape[0]

    def pictures(self, crops: Tensor, styles: Tensor) -> Tensor:
        """Each crop [N] in its style [N]."""
        return self._pictures[crops, styles].permute(0, 3, 1, 2).float().div(255)

    def draw(self, count: int, *, photographs: float = 0.0) -> tuple[Tensor, Tensor]:
        """Random crops and styles, both [count]; a share `photographs` of them is the photograph itself."""
        crops = torch.randint(0, len(self), (count,), device=self.device)
        styles = torch.randint(0, len(STYLES), (count,), device=self.device)
        plain = torch.rand(count, device=self.device) < photographs
        return crops, torch.where(plain, torch.full_like(styles, PHOTO), styles)

    def any_pictures(self, count: int, *, photographs: float = 0.0) -> Tensor:
        return self.pictures(*self.draw(count, photographs=photographs))

    @torch.no_grad()
    def latents(self, networks: Networks, scale: float) -> Tensor:
        """Scaled latents of every picture [crops, styles, C, h, w], bfloat16: 0.6 MB a crop at 256²."""
        styles = torch.arange(len(STYLES), device=self.device)
        rows = []
        for crop in range(len(self)):
            pictures = self.pictures(torch.full_like(styles, crop), styles)
            with torch.autocast(self.device.type, dtype=torch.bfloat16):
                rows.append((networks.latents(pictures) * scale).to(torch.bfloat16))
        return torch.stack(rows)
