"""The one picture type that travels through the data plane, and its clock."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Image = npt.NDArray[np.uint8]
    """HWC RGB uint8, C-contiguous."""
else:
    Image = Any  # a command that only reads settings imports no numpy

now_ns = time.perf_counter_ns
"""The one clock. Monotonic; on Linux, macOS and Windows its zero is the machine's boot, so that values from
different processes of one machine can be subtracted (a test starts a child and checks)."""


class Rect(NamedTuple):
    """Pixels, origin at the top left."""

    x: int
    y: int
    width: int
    height: int


class Size(NamedTuple):
    """Pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


def new_image(size: Size) -> Image:
    """Memory for a picture of `size`; its content is undefined."""
    import numpy as np

    return np.empty((size.height, size.width, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture and where it came from.

    image: HWC RGB uint8, C-contiguous. Never written to after construction.
    seq: the source's count of this picture, from 0.
    t_capture: `now_ns()` when the camera's picture was taken.
    t_published: `now_ns()` when the stage that made this frame handed it on.
    revision: the `LiveState.revision` whose prompt painted it (0: not painted).
    content: the part of `image` that shows the source's picture; the rest is padding that the output
        stage cuts off (`None`: all of it). Lets a camera change its aspect without a rebuild of the model.
    """

    image: Image
    seq: int
    t_capture: int
    t_published: int
    revision: int = 0
    content: Rect | None = None
