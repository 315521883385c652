"""Text-to-image through the same stream batch: the latents a frame starts from are noise that walks between seeds."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.noise import noise_for, slerp


class Dream:
    """Unit-normal latents [C, h, w] that move: every `drift_s` seconds from one seeded noise to the next by slerp.

    The same seed gives the same walk on every device. drift_s = 0 stays at the first noise.
    """

    def __init__(
        self, channels: int, height: int, width: int, *, drift_s: float, device: torch.device
    ) -> None:
        self._shape = (channels, height, width)
        self._drift_s = drift_s
        self._device = device
        self._ends: dict[int, Tensor] = {}

    def at(self, seconds: float, seed: int) -> Tensor:
        """Latents [1, C, h, w], float32, `seconds` after the start of the walk of `seed`."""
        if self._drift_s <= 0:
            return self._end(seed)
        steps = seconds / self._drift_s
        whole = int(steps)
        # A large odd stride keeps the walks of neighbouring seeds apart.
        return slerp(
            self._end(seed + 0x9E3779B1 * whole), self._end(seed + 0x9E3779B1 * (whole + 1)), steps - whole
        )

    def _end(self, seed: int) -> Tensor:
        if seed not in self._ends:
            while len(self._ends) >= 4:
                self._ends.pop(next(iter(self._ends)))
            self._ends[seed] = noise_for(seed, 1, *self._shape, device=self._device)
        return self._ends[seed]
