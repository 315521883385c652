"""How long the engine's stages work on a frame, over the last seconds: what a deadline looks at."""

from __future__ import annotations

from collections import deque
from typing import Final

from pipeline.frame import now_ns

WINDOW_S: Final = 2.5
_SAMPLES: Final = 2048


class FrameTimes:
    """The stages work beside each other, so a frame's time is that of the slower one; a skipped frame takes none.

    Each method that adds is called by one thread, the one of its stage; any thread may read.
    """

    def __init__(self) -> None:
        self._denoised: deque[tuple[int, float]] = deque(maxlen=_SAMPLES)
        self._published: deque[tuple[int, float]] = deque(maxlen=_SAMPLES)
        self._skipped: deque[int] = deque(maxlen=_SAMPLES)

    def denoised(self, took_ns: int, frames: int) -> None:
        """`frames` of them went through one call that took so long (its share, where several calls run at a time)."""
        self._denoised.extend([(now_ns(), took_ns / 1e6 / frames)] * frames)

    def published(self, took_ns: int, frames: int) -> None:
        """`frames` were decoded, enlarged and written in so long, waiting apart."""
        self._published.extend([(now_ns(), took_ns / 1e6 / frames)] * frames)

    def skipped(self, frames: int) -> None:
        """`frames` looked like the last painted one."""
        self._skipped.extend([now_ns()] * frames)

    def clear(self) -> None:
        """Forget what was measured under another shape. Between frames only."""
        for samples in (self._denoised, self._published, self._skipped):
            samples.clear()

    def summary(self) -> dict[str, float | int | None]:
        """{p50, p99} in milliseconds a frame (None without frames) and the number of frames of the window."""
        since = now_ns() - int(WINDOW_S * 1e9)
        skipped = sum(t >= since for t in self._skipped.copy())
        stages = [
            sorted([0.0] * skipped + [ms for t, ms in samples.copy() if t >= since])
            for samples in (self._denoised, self._published)
        ]
        painted = len(stages[0]) - skipped
        if not all(stages):
            return {"p50": None, "p99": None, "frames": 0, "painted": 0}
        p50, p99 = (round(max(_at(stage, percent) for stage in stages), 2) for percent in (50, 99))
        return {"p50": p50, "p99": p99, "frames": len(stages[0]), "painted": painted}


def _at(ordered: list[float], percent: float) -> float:
    """Nearest rank."""
    return ordered[min(len(ordered) - 1, int(percent / 100 * len(ordered)))]
