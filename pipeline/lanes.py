"""Frames side by side: each lane is a thread that takes its frames through all T steps alone, one call after the other.

A stream batch pays where a call of T rows costs less than T calls of one. A core of a processor is full with one row:
there the batch saves nothing, and every frame waits through T calls of T rows for the same numbers. On a lane it leaves
after its own T calls; and as nothing waits for two threads to meet, whatever else needs a core for a moment costs that
moment and no more. What is computed is `pipeline.sequential`.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor

from pipeline.admission import Admission, Emitted, Finite, Predict, finite_rows, over_latents
from pipeline.schedule import PredictionType
from pipeline.sequential import denoise

CLOSE_S: Final = 5.0  # a lane that hangs is left behind: it ends with the process
APART: Final = 0.75  # of an even spacing: frames that enter together leave together, by fits


@dataclass(frozen=True, slots=True, eq=False)
class Passage:
    """F frames on a lane. newest: as in `pipeline.sequential.denoise`. Others may ask for `emitted` at any time."""

    latents: Tensor
    admission: Admission
    tags: tuple[object, ...]
    prediction_type: PredictionType
    add_noise: bool
    newest: Callable[[], Admission] | None
    _left: Future[Emitted] = field(default_factory=Future)

    def emitted(self) -> Emitted:
        """As `pipeline.admission.Leaving`."""
        return self._left.result()

    def run(self, predict: Predict) -> None:
        """On the lane's thread; never raises."""
        try:
            self._left.set_result(self._through(predict))
        except Exception as error:  # noqa: BLE001 whatever the UNet raises belongs to who waits for these frames
            self._left.set_exception(error)

    @torch.no_grad()
    def _through(self, predict: Predict) -> Emitted:
        effective = [self.admission]

        def newest() -> Admission:
            assert self.newest is not None
            effective[0] = self.newest()
            return effective[0]

        came_finite = finite_rows(self.latents)
        denoised = denoise(
            predict,
            torch.where(over_latents(came_finite), self.latents, 0.0),
            self.admission,
            prediction_type=self.prediction_type,
            add_noise=self.add_noise,
            newest=newest if self.newest else None,
        )
        finite = finite_rows(denoised) & came_finite
        shown = torch.where(over_latents(finite), denoised, 0.0)
        return Emitted(shown, self.tags, effective[0], Finite(finite))


class Lanes:
    """As many lanes as there are `predicts`, each called by its own lane alone. Every method is for one thread.

    threads: of PyTorch on each lane.
    """

    def __init__(self, predicts: Sequence[Predict], threads: int) -> None:
        self._free: queue.SimpleQueue[_Lane] = queue.SimpleQueue()
        self._next: _Lane | None = None
        self._entered_s = 0.0
        self._lanes = [_Lane(predict, threads, self._free) for predict in predicts]
        for lane in self._lanes:
            lane.start()

    def ready(self, timeout_s: float) -> bool:
        """Whether frames that came now would find a lane, at a distance from the ones before; waits so long for it."""
        if self._next is None:
            try:
                self._next = self._free.get(timeout=timeout_s)
            except queue.Empty:
                return False
        evenly_s = min(lane.took_s for lane in self._lanes) / len(self._lanes)
        early_s = self._entered_s + APART * evenly_s - time.monotonic()
        if early_s > 0:
            time.sleep(min(early_s, timeout_s))
        return early_s <= timeout_s

    def enter(self, passage: Passage) -> None:
        """On the lane that is free, or the first that will be."""
        lane, self._next = self._next or self._free.get(), None
        self._entered_s = time.monotonic()
        lane.work.put(passage)

    def close(self) -> None:
        """Whoever is on a lane leaves it as usual; then the threads end."""
        for lane in self._lanes:
            lane.work.put(None)
        until = time.monotonic() + CLOSE_S
        for lane in self._lanes:
            lane.join(max(0.0, until - time.monotonic()))


class _Lane(threading.Thread):
    def __init__(self, predict: Predict, threads: int, free: queue.SimpleQueue[_Lane]) -> None:
        super().__init__(name="lane", daemon=True)
        self.work: queue.SimpleQueue[Passage | None] = queue.SimpleQueue()
        self.took_s = 0.0  # the last passage
        self._predict, self._threads, self._free = predict, threads, free
        free.put(self)

    def run(self) -> None:
        torch.set_num_threads(self._threads)  # this thread's own
        while (passage := self.work.get()) is not None:
            began = time.monotonic()
            passage.run(self._predict)
            self.took_s = time.monotonic() - began
            self._free.put(self)
