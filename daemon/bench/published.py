"""When painted frames were published, exactly, and without a bell: each place of the ring keeps its own time."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Any

import numpy as np

from pipeline.slot import SlotReader

LOOK_S = 0.002


class Published:
    """Collects while its block runs; the figures are there afterwards."""

    def __init__(self, styled: SlotReader) -> None:
        self._styled = styled
        self._times: dict[int, int] = {}
        self._halt = threading.Event()
        self._thread = threading.Thread(target=self._collect, name="published", daemon=True)

    def __enter__(self) -> Published:
        self._first = self._styled.newest_number()
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._halt.set()
        self._thread.join()
        self.seconds = time.monotonic() - self._began
        self.frames = self._styled.newest_number() - self._first

    def facts(self) -> dict[str, Any]:
        """fps, and the time from one frame to the next at p50 and p99 (None with fewer than three frames)."""
        numbers = sorted(self._times)
        # A number that was not seen in time leaves no gap: only neighbours are compared.
        ms = [(self._times[n + 1] - self._times[n]) / 1e6 for n in numbers if n + 1 in self._times]
        known = len(ms) >= 2
        p50, p99 = (float(v) for v in np.percentile(ms, [50, 99], method="nearest")) if known else (0.0, 0.0)
        return {
            "frames": self.frames,
            "fps": round(self.frames / self.seconds, 2),
            "frame_ms": {"p50": round(p50, 2), "p99": round(p99, 2)} if known else None,
            "p99_over_p50": round(p99 / p50, 3) if known else None,
        }

    def _collect(self) -> None:
        number = self._styled.newest_number()
        while not self._halt.wait(LOOK_S):
            if (newest := self._styled.newest_number()) != number:
                number = newest
                self._times.update({n: t for n, t in self._styled.times().items() if n > self._first})
