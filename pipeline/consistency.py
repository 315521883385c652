"""Temporal consistency: latent feedback gated by motion, so that a still scene gives a still painting.

A camera's noise differs from frame to frame, and the model paints it: cracks and strokes that crawl over a
wall. Where the input picture has not changed by more than that noise, the clean latents of a frame are
averaged with those of the frames before; where it has, they are taken as they are:

    z' = z + w (m − z),   w = n/(n + 1),   n = frames averaged so far, 0 where the picture changed

m is the mean so far. The memory is not the last frame but the mean itself, of the latents and of the picture
alike, and a frame is compared with *that* mean: nothing stays in it that the picture no longer shows, so a
moved object leaves no trail, and a slow drift of the light lags by less than the noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pipeline.tile_similarity import NoiseEnergy

Plane = npt.NDArray[np.float32]

SUBCELLS = 2
"""A latent cell is watched by 2×2 patches of the picture: an edge that crosses one corner is seen."""
REACH = 1
"""Latent cells around a change that count as changed: the encoder's view is wider than its cell."""
STILL = 4.0
MOVING = 7.0
"""In deviations of the noise: below STILL a change is noise, above MOVING it is motion, linear between."""
BROAD = 7
"""Patches across the area whose mean change is watched too: light that drifts hides in one patch's noise."""
DRIFT_GAIN = 3.0
"""That mean's noise is 7 times smaller, were it all independent; a change of it counts this much more."""
MOST = 0.95
"""w at amount 1: a mean of 20 frames."""


@dataclass(slots=True)
class _Memory:
    """picture: mean patches [2h, 2w, 3] in grey levels. latents: [C, h, w]. frames: n, [h, w]."""

    picture: Plane
    latents: Tensor
    frames: Plane


class TemporalConsistency:
    """Steadies the clean latents of a stream of frames, in the order of the calls. For one thread.

    amount: 0 (off) to 1; may be changed between two frames. Costs about 0.5 ms of CPU a frame at 320×192 and
    one multiply-add on the model's device, without waiting for it.
    """

    def __init__(self, amount: float = 0.8) -> None:
        self.amount = amount
        self._memory: _Memory | None = None
        # Variance of one patch, grey levels²: a sensor noise of σ from 1 to 8 grey levels in 4×4 pixels.
        self._noise = NoiseEnergy(0.6, least=0.1, most=4.0)

    def reset(self) -> None:
        """Start afresh: the next frame does not follow the last one."""
        self._memory = None

    def steadied(self, pixels: npt.NDArray[np.uint8], latents: Tensor) -> Tensor:
        """Latents to denoise in place of `latents`.

        pixels: uint8 [F, H, W, 3], the pictures on the CPU. latents: clean latents z [F, C, h, w] that were
        encoded from them, on any device; not written to. Returns the same shape and dtype.
        """
        if self.amount <= 0:
            self.reset()
            return latents
        frames = [self._one(picture, z) for picture, z in zip(pixels, latents, strict=True)]
        return torch.stack(frames)

    def _one(self, picture: npt.NDArray[np.uint8], z: Tensor) -> Tensor:
        h, w = z.shape[-2:]
        patches: Plane = cv2.resize(
            picture, (w * SUBCELLS, h * SUBCELLS), interpolation=cv2.INTER_AREA
        ).astype(np.float32)
        memory = self._memory
        if memory is None or memory.latents.shape != z.shape:
            self._memory = _Memory(patches, z.clone(), np.zeros((h, w), np.float32))
            return z
        still = self._stillness(cv2.subtract(patches, memory.picture))
        most = MOST * min(self.amount, 1.0)
        memory.frames = np.minimum(still * (memory.frames + 1), np.float32(most / (1 - most)))
        weight = memory.frames / (memory.frames + 1)
        of_patch = cv2.resize(weight, (w * SUBCELLS, h * SUBCELLS), interpolation=cv2.INTER_NEAREST)
        memory.picture = patches + of_patch[..., None] * (memory.picture - patches)
        on_device = torch.from_numpy(weight).to(z.device, z.dtype, non_blocking=True)
        memory.latents = torch.lerp(z, memory.latents, on_device)
        return memory.latents

    def _stillness(self, difference: Plane) -> Plane:
        """1 where a cell and its neighbours show only noise, 0 where one of them changes: [h, w]."""
        drift = cv2.blur(difference, (BROAD, BROAD))
        grain = np.abs(difference - drift)[::3, ::3].ravel()  # what changes from patch to patch: the sensor
        grain = grain[grain > 0]  # bars, and what is clipped to black or white, say nothing
        if grain.size:
            middle = float(np.partition(grain, grain.size // 2)[grain.size // 2])
            self._noise.update((middle / 0.674) ** 2)  # the median of |N(0, σ²)| is 0.674 σ
        greatest: Plane = np.maximum(np.abs(difference), np.abs(drift) * DRIFT_GAIN).max(-1)
        side = SUBCELLS * (1 + 2 * REACH)
        around = cv2.dilate(greatest, np.ones((side, side), np.uint8), anchor=(SUBCELLS * REACH,) * 2)
        deviations: Plane = around[::SUBCELLS, ::SUBCELLS] / np.float32(self._noise.value**0.5)
        still: Plane = (np.float32(MOVING) - deviations) / np.float32(MOVING - STILL)
        return np.minimum(np.maximum(still, np.float32(0)), np.float32(1))
