"""What a stream batch, and whatever an engine compiles or captures, is made for."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.frame import Size
from pipeline.geometry import scaled_canvas
from pipeline.messages import LiveState


@dataclass(frozen=True, slots=True)
class StreamShape:
    """steps: T. frames: F, side by side. canvas: what the model paints on, in pixels."""

    steps: int
    frames: int
    canvas: Size

    @classmethod
    def of(cls, state: LiveState, frames: int, canvas: Size, multiple: int) -> StreamShape:
        """For a live state. canvas: of the camera's frames; multiple: of the model's sides (8: its autoencoder)."""
        return cls(len(state.t_index_list), frames, scaled_canvas(canvas, state.canvas_scale, multiple))

    @property
    def said_steps(self) -> str:
        return f"{self.steps} step{'s' * (self.steps > 1)}"

    def __str__(self) -> str:
        return f"{self.said_steps} on {self.canvas}"
