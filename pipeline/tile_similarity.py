"""How alike two camera pictures are to a viewer: our default metric of the similarity filter.

A picture becomes 64×64 cells, 8×8 tiles of 8×8 cells. Three changes are measured against the last processed
picture, each as an energy (grey levels², averaged over the channels):
- shift: the change of a tile's mean: light, or something that covers the tile;
- structure: the change inside a tile, about that mean: a mouth, a blink, a patch in one corner;
- light: the change of the whole picture's mean: a lamp dimmed by a few per cent, even in the dark.
From each energy the sensor's noise is subtracted, as estimated from the pictures seen so far; what is left is
divided by the tile's own brightness, and the tile that changed most decides: s = 1 − its relative change.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

    Picture = npt.NDArray[np.uint8] | torch.Tensor

Energies = npt.NDArray[np.float32]

GRID = 8
"""Tiles along each side of the picture."""
CELLS = 8
"""Cells along each side of a tile."""
DARK = 16.0
"""Grey levels: a darker tile counts as this bright, so that black neither divides by 0 nor sees ghosts."""
TEXTURE = 64.0
"""Grey levels: changes inside a brighter tile count as in one this bright: a lip moves less than a lamp."""

# An energy up to this many times the noise's own is noise. A tile's shift is a mean of 3 squares, its
# structure of 192, so the first scatters more: both leave about one false alarm in 1e5 tiles.
SHIFT_MARGIN = 9.0
STRUCTURE_MARGIN = 2.0
LIGHT_MARGIN = 9.0


@dataclass(frozen=True, slots=True)
class Cells:
    """A picture's thumbnail, (64, 64, 3) in grey levels, with each tile's level, (8, 8), and its own."""

    values: npt.NDArray[np.float32]
    tile_level: npt.NDArray[np.float32]
    level: float


@dataclass(slots=True)
class NoiseEnergy:
    """A running low quantile of an energy: of what a still camera shows, not of what moves now and then.

    Rises by 2 % a frame where the energy is above it and falls by 6 % where it is not, so it settles where
    one frame in four is below. `least` and `most` bound it: motion that never stops is not taken for noise.
    """

    value: float
    least: float
    most: float

    def update(self, energy: float) -> None:
        step = 1.02 if energy > self.value else 0.94
        self.value = min(max(self.value * step, self.least), self.most)


class TileSimilarity:
    """Compares each picture with `reference`. For one thread; about 0.2 ms a picture on one CPU core."""

    def __init__(self) -> None:
        self.reference: Cells | None = None
        # Grey levels². The upper bounds are a sensor noise of σ ≈ 6 grey levels at 320×192, seen twice.
        self._shift_noise = NoiseEnergy(0.02, least=0.0005, most=0.05)
        self._structure_noise = NoiseEnergy(1.2, least=0.02, most=6.0)
        self._light_noise = NoiseEnergy(0.001, least=0.0001, most=0.01)
        # Bright tiles are noisier than dark ones (shot noise), so each tile has its own, near the picture's.
        self._tile_noise = np.full((GRID, GRID), 1.2, np.float32)

    def prepare(self, image: Picture) -> tuple[Cells, ...]:
        """uint8 HWC RGB, or FHWC, to one `Cells` a picture."""
        pictures = image[None] if image.ndim == 3 else image
        return tuple(cells(thumbnail(picture)) for picture in pictures)

    def similarity(self, candidate: tuple[Cells, ...]) -> float | None:
        """s in [0, 1] of the least similar picture; None: no reference yet."""
        if self.reference is None:
            return None
        reference = self.reference
        return min(self._similarity(picture, reference) for picture in candidate)

    def reference_of(self, candidate: tuple[Cells, ...]) -> Cells:
        """The newest of a buffer's pictures is what the next ones are compared with."""
        return candidate[-1]

    def _similarity(self, picture: Cells, reference: Cells) -> float:
        difference = cv2.subtract(picture.values, reference.values)
        tile_mean = tile_means(difference)
        shift = np.square(tile_mean).mean(-1)
        structure = np.maximum(tile_means(cv2.multiply(difference, difference)).mean(-1) - shift, 0)
        light = float(np.square(tile_mean.mean((0, 1))).mean())
        texture_level = np.minimum(reference.tile_level, TEXTURE)
        change = max(
            _relative(shift - SHIFT_MARGIN * self._shift_noise.value, reference.tile_level),
            _relative(structure - STRUCTURE_MARGIN * self._tile_noise, texture_level),
            math.sqrt(max(0.0, light - LIGHT_MARGIN * self._light_noise.value)) / reference.level,
        )
        self._learn_noise(shift, structure, light)
        return max(0.0, 1.0 - change)

    def _learn_noise(self, shift: Energies, structure: Energies, light: float) -> None:
        # Bars, and tiles clipped to black or white, show no noise: they say nothing about the others.
        noisy = structure > 0.01
        if not noisy.any():
            noisy[:] = True
        self._structure_noise.update(_median(structure[noisy]))
        self._shift_noise.update(_median(shift[noisy]))
        self._light_noise.update(light)
        self._tile_noise *= np.where(structure > self._tile_noise, np.float32(1.03), np.float32(0.97))
        typical = self._structure_noise.value
        most = min(6 * typical, self._structure_noise.most)
        self._tile_noise = np.minimum(np.maximum(self._tile_noise, typical / 2), most)


def _relative(energy: Energies, level: Energies) -> float:
    """The greatest relative change among the tiles."""
    greatest = float((energy / np.square(level)).max())
    return math.sqrt(max(0.0, greatest))


def _median(values: Energies) -> float:
    """The upper median; np.median takes ten times as long on 64 values."""
    return float(np.sort(values)[len(values) // 2])


def tile_means(plane: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(64, 64, 3) to the mean of each tile: (8, 8, 3)."""
    means: npt.NDArray[np.float32] = cv2.resize(plane, (GRID, GRID), interpolation=cv2.INTER_AREA)
    return means


def thumbnail(image: Picture) -> npt.NDArray[np.float32]:
    """HWC uint8 of any size to (64, 64, 3) float32 in grey levels, by area.

    A GPU's picture is shrunk on the GPU and the calling thread waits for the thumbnail, on its own stream.
    """
    side = GRID * CELLS
    if isinstance(image, np.ndarray):
        small = cv2.resize(np.ascontiguousarray(image), (side, side), interpolation=cv2.INTER_AREA)
        levels: npt.NDArray[np.float32] = small.astype(np.float32)
        return levels
    if image.device.type == "cpu":
        return thumbnail(image.numpy())
    from torch.nn.functional import interpolate

    planes = image.permute(2, 0, 1)[None].float()
    shrunk = interpolate(planes, size=(side, side), mode="area")[0].permute(1, 2, 0)
    on_cpu: npt.NDArray[np.float32] = shrunk.contiguous().cpu().numpy()
    return on_cpu


def cells(small: npt.NDArray[np.float32]) -> Cells:
    """(64, 64, 3) grey levels with the root mean square levels (at least `DARK`)."""
    tile_power = tile_means(cv2.multiply(small, small)).mean(-1)
    level = math.sqrt(float(tile_power.mean()))
    return Cells(small, np.maximum(np.sqrt(tile_power), DARK), max(level, DARK))
