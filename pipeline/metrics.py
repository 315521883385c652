"""Figures of the running program: counts a second, percentiles over the last while, times of the stages.

Cheap enough for hot loops.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from pipeline.frame import now_ns

_WINDOW_S: Final = 5.0
_SAMPLES: Final = 1024


class Rate:
    """Events a second over the last five seconds. One thread counts; any thread may read."""

    def __init__(self) -> None:
        self._times: deque[int] = deque(maxlen=_SAMPLES)

    def count(self) -> None:
        self._times.append(now_ns())

    def per_second(self) -> float:
        """0.0 until two events have been counted within the window."""
        now = now_ns()
        recent = [t for t in tuple(self._times) if now - t < _WINDOW_S * 1e9]
        if len(recent) < 2:
            return 0.0
        # Ends with the last event, unless a whole usual interval has passed without one.
        span = max(recent[-1] - recent[0], now - recent[0] - (recent[-1] - recent[0]) // (len(recent) - 1))
        return (len(recent) - 1) / (span / 1e9)


class Percentiles:
    """Percentiles of the last 1,024 samples. One thread adds; any thread may read."""

    def __init__(self) -> None:
        self._samples: deque[float] = deque(maxlen=_SAMPLES)

    def add(self, value: float) -> None:
        self._samples.append(value)

    def at(self, *percents: float) -> list[float | None]:
        """Values at the given percents (50, 99, …), nearest rank; None while there are no samples."""
        ordered = sorted(self._samples.copy())
        if not ordered:
            return [None for _ in percents]
        return [ordered[min(len(ordered) - 1, int(p / 100 * len(ordered)))] for p in percents]

    def clear(self) -> None:
        self._samples.clear()


class StageTimes:
    """How long each stage of the data plane takes, in milliseconds. Each stage is timed by one thread, read by any."""

    def __init__(self, *stages: str) -> None:
        self._stages = {stage: Percentiles() for stage in stages}

    def since(self, stage: str, began_ns: int) -> int:
        """Count a run of `stage` that began at `began_ns` (`now_ns`); returns the time now, ns."""
        return self.between(stage, began_ns, now_ns())

    def between(self, stage: str, began_ns: int, ended_ns: int) -> int:
        """Count a run of `stage`; returns when it ended."""
        self._stages[stage].add((ended_ns - began_ns) / 1e6)
        return ended_ns

    def facts(self) -> dict[str, dict[str, float | None]]:
        """{"decode": {"p50": 3.1, "p99": 4.0}, …} in milliseconds; None before the first run."""
        return {stage: percentiles(of) for stage, of in self._stages.items()}


def percentiles(of: Percentiles) -> dict[str, float | None]:
    """p50 and p99 as plain values, to two digits."""
    p50, p99 = of.at(50, 99)
    return {"p50": rounded(p50), "p99": rounded(p99)}


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
