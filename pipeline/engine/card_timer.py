"""How long a call takes on the card, without what launching it costs: what a recorded graph pays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch

from pipeline.engine.cuda_capture import CudaRecorder

ROUNDS: Final = 5
CALLS: Final = 20
"""Recorded one after the other: launched one by one, small kernels would be timed by Python's speed."""


class CardTimer:
    """Milliseconds of a call, from a recording of it; the least of some rounds, as painted frames may come between.

    Raises what the call raises, where the card has no such kernel.
    """

    def __init__(self, device: torch.device) -> None:
        self._recorder = CudaRecorder(device)
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def __call__(self, call: Callable[[], object]) -> float:
        def often() -> None:
            for _ in range(CALLS):
                call()

        _, replay = self._recorder.record(often, call, apart=True)
        best = float("inf")
        with torch.cuda.stream(self._stream):
            for _ in range(ROUNDS):
                begin = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
                end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
                begin.record()
                replay()
                end.record()
                end.synchronize()
                best = min(best, float(begin.elapsed_time(end)) / CALLS)
        return best
