"""Flicker: how much of an output's change from frame to frame the input does not explain; and ghosting.

Mean absolute difference between an output and the output before it, warped along the input's optical flow (DIS),
over the same for the input; pixels that the flow cannot follow are left out. Painted once without and once with the
whole of the temporal-consistency option: steadied latents, and the painting carried along the motion.

Ghosting: at newly uncovered pixels, how much of the picture before is mixed into the output that is steadied, as a
share of what lies between it and the output that is not. Sharpness: mean absolute Laplacian of the steadied outputs
over that of the others; below 1 they are softer.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import cv2
import numpy as np

from benchmarks.clips import Image
from benchmarks.painter import Painter
from pipeline.carried_paint import CarriedPaint
from pipeline.consistency import TemporalConsistency
from pipeline.messages import Style

FEWEST = 50
"""Uncovered pixels of a frame below which it says nothing about ghosting."""
DISTINCT = 12
"""Grey levels: where the outputs before and now differ by less, no ghost could be seen."""


class Motion:
    """Optical flow between two input frames, and where it can be followed."""

    def __init__(self, before: Image, after: Image) -> None:
        grey = [cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in (before, after)]
        dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        back = dis.calc(grey[1], grey[0], None)  # for a pixel of `after`, where it was in `before`
        there = dis.calc(grey[0], grey[1], None)
        height, width = grey[0].shape
        y, x = np.mgrid[:height, :width].astype(np.float32)
        self._at = (x + back[..., 0], y + back[..., 1])
        returned = np.stack([self._warped(there[..., i]) for i in range(2)], -1)
        self.followed = np.hypot(*np.moveaxis(back + returned, -1, 0)) < 1.0
        self.moving = np.hypot(back[..., 0], back[..., 1]) > 1.0

    def _warped(self, plane: np.ndarray) -> np.ndarray:
        return cv2.remap(plane, *self._at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def error(self, before: Image, after: Image) -> float:
        """Mean absolute difference of `after` from `before` brought to where it has moved, grey levels."""
        d = np.abs(after.astype(np.float32) - self._warped(before.astype(np.float32)))
        return float(d[self.followed].mean())

    @property
    def uncovered(self) -> np.ndarray:
        """Pixels that were hidden in `before`: not followed, and near a motion."""
        near = cv2.dilate(self.moving.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        return ~self.followed & near


def ghost(motion: Motion, before: Image, off: Image, on: Image) -> float | None:
    """Share of `before` in `on` at uncovered pixels; None where too few of them could show it."""
    shown = off[motion.uncovered].astype(np.float32)
    away = before[motion.uncovered] - shown
    distinct = np.abs(away).max(-1, initial=0) > DISTINCT
    if distinct.sum() < FEWEST:
        return None
    mixed = (on[motion.uncovered] - shown)[distinct]
    return float((mixed * away[distinct]).sum() / np.square(away[distinct]).sum())


def sharpness(frames: Sequence[Image]) -> float:
    greys = (cv2.cvtColor(f, cv2.COLOR_RGB2GRAY).astype(np.float32) for f in frames)
    return float(np.mean([np.abs(cv2.Laplacian(grey, -1)).mean() for grey in greys]))


def flicker(painter: Painter, frames: list[Image], styles: Sequence[Style], amount: float) -> dict[str, Any]:
    """{"input": grey levels, style name: {"off", "on": error over the input's, "ghost", "sharp"}}."""
    motions = [Motion(a, b) for a, b in pairwise(frames)]

    def error(of: list[Image]) -> float:
        return float(np.mean([m.error(a, b) for m, (a, b) in zip(motions, pairwise(of), strict=True)]))

    of_input = error(frames)
    consistency = TemporalConsistency(amount)
    plain = [painter.latents(f) for f in frames]
    steady = [consistency.steadied(f[None], z) for f, z in zip(frames, plain, strict=True)]
    rows: dict[str, Any] = {"input": round(of_input, 3)}
    for style in styles:
        carried = CarriedPaint(amount)
        off = [painter.paint(z, style) for z in plain]
        on = [
            carried.steadied(f, painter.paint(z, style), style) for f, z in zip(frames, steady, strict=True)
        ]
        found = [ghost(*case) for case in zip(motions, on, off[1:], on[1:], strict=False)]
        ghosts = [share for share in found if share is not None]
        rows[style.name] = {
            "off": round(error(off) / of_input, 3),
            "on": round(error(on) / of_input, 3),
            "ghost": round(float(np.mean(ghosts)), 4) if ghosts else None,
            "sharp": round(sharpness(on) / sharpness(off), 3),
        }
    return rows


def table(scenes: dict[str, dict[str, Any]], styles: Sequence[Style]) -> list[str]:
    """A row a style, a column a scene, the mean last."""
    lines = ["| style | " + " | ".join(f"{s}: off → on (ghost)" for s in scenes) + " |"]
    lines += ["|---|" + "---|" * len(scenes)]
    inputs = [f"{row['input']:.2f} grey levels" for row in scenes.values()]
    lines.append("| error of the input | " + " | ".join(inputs) + " |")
    for style in styles:
        lines.append(f"| {style.name} | " + " | ".join(_cell(r[style.name]) for r in scenes.values()) + " |")
    means = [_cell(mean(row)) for row in scenes.values()]
    return [*lines, "| **mean** | " + " | ".join(means) + " |"]


def mean(row: dict[str, Any]) -> dict[str, float | None]:
    """Over the styles."""
    cells = [cell for cell in row.values() if isinstance(cell, dict)]
    found = {key: [c[key] for c in cells if c[key] is not None] for key in cells[0]}
    return {key: round(float(np.mean(values)), 4) if values else None for key, values in found.items()}


def _cell(cell: dict[str, Any]) -> str:
    shown = "" if cell["ghost"] is None else f" ({cell['ghost']:.1%})"
    return f"{cell['off']:.2f} → {cell['on']:.2f}{shown}"
