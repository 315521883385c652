"""An engine of compiled parts for a processor: frames side by side (`pipeline.lanes`) in place of a stream batch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from torch import Tensor

from pipeline.admission import Admission
from pipeline.engine.compiled import CompiledEngine
from pipeline.engine.eager import EagerEngine
from pipeline.engine.job import Job
from pipeline.engine.parts import Parts
from pipeline.lanes import Lanes, Passage

if TYPE_CHECKING:
    from pipeline.stream_batch import StreamBatch


class LaneEngine(CompiledEngine):
    """Every call of `step` takes its frames through all steps, on whichever lane is free.

    lanes: calls of `parts.unet` that may run at a time. threads: of each, for what eager has to do meanwhile.
    """

    def __init__(
        self,
        job: Job,
        eager: EagerEngine,
        parts: Parts,
        compiler: str,
        *,
        lanes: int,
        threads: int,
    ) -> None:
        super().__init__(job, eager, parts, compiler)
        self._count, self._threads = lanes, threads
        self._newest: tuple[StreamBatch, Admission] | None = None
        self._running: Lanes | None = None

    @property
    def lanes(self) -> int:
        return self._count

    def calls_to_leave(self, steps: int) -> int:
        return 1

    def ready(self, timeout_s: float) -> bool:
        return self._begun().ready(timeout_s)

    def _begun(self) -> Lanes:
        """From the first step on: what is built and never paints has no threads."""
        if self._running is None:
            predicts = [partial(self.predict, lane=lane) for lane in range(self._count)]
            self._running = Lanes(predicts, self._threads)
        return self._running

    def step(
        self, batch: StreamBatch, latents: Tensor, admission: Admission, tags: Sequence[object]
    ) -> Passage:
        """`batch` says what a step is; frames that another engine left in it are given up."""
        admission.check(batch.steps)
        if batch.in_flight:
            batch.reset()
        self._newest = batch, admission
        passage = Passage(
            latents.clone(),  # `encode` writes over them before the lane is done
            admission,
            tuple(tags),
            batch.prediction_type,
            batch.add_noise,
            partial(self._newest_of, batch, admission) if batch.prompt_switch == "immediate" else None,
        )
        self._begun().enter(passage)
        return passage

    def _newest_of(self, batch: StreamBatch, admission: Admission) -> Admission:
        """The state that holds now for frames that came in with `admission`: the newest of their own stream."""
        newest = self._newest
        return newest[1] if newest is not None and newest[0] is batch else admission

    def close(self) -> None:
        if self._running is not None:
            self._running.close()
