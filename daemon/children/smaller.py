"""What to give up first when memory has run out."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from pipeline.configs import EngineConfig
from pipeline.frame import Size

SHRINK: Final = 0.75  # of each side: about half the area
LEAST: Final = 64  # pixels of the shorter side; below that nothing is to be recognised
GRID: Final = 32  # sides of a canvas are multiples of this


def smaller(config: EngineConfig) -> EngineConfig | None:
    """One step down: fewer frames side by side, then a smaller canvas; None when neither is left."""
    if config.frame_buffer_size > 1:
        return replace(config, frame_buffer_size=config.frame_buffer_size // 2)
    width, height = (max(LEAST, int(side * SHRINK) // GRID * GRID) for side in config.canvas)
    canvas = Size(min(width, config.canvas.width), min(height, config.canvas.height))
    return None if canvas == config.canvas else replace(config, canvas=canvas)
