"""CUDA's part of `graph_engine.py`: capture in the background, pinned double buffers, three queues.

Written without a card at hand: `tests/gpu/test_engine_cuda_graph.py` is what has to pass on one.
"""

from __future__ import annotations

import contextlib
import gc
import threading
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from pipeline.engine.eager import EagerEngine
from pipeline.engine.graph_engine import GraphEngine, Replay, Work
from pipeline.engine.job import Job
from pipeline.engine.kinds._contract import follows_weights, kind_of
from pipeline.engine.parts import Parts
from pipeline.engine.pictures import Pending, Pictures
from pipeline.engine.recording import keeping

_CHOSEN: Final = contextlib.ExitStack()
_CAPTURING: Final = threading.Lock()  # one capture at a time in the process: they share the card's generator
WARM_UPS: Final = 3  # kernels are chosen and workspaces taken before anything is captured
_RING: Final = 4  # one being written, one waiting, one being decoded, one being brought down


def graph_engine(name: str, eager: EagerEngine, parts: Parts, job: Job, **facts: str) -> GraphEngine:
    """On the device of `eager`, with the fastest attention kernel measured for its shapes. facts: more to tell."""
    from torch.nn.attention import sdpa_kernel

    from pipeline.engine.attention import order_for_model

    order = order_for_model(eager.model, job)
    # The choice is the process's, for good: every recording and every eager call uses it. Dropped, it would end.
    _CHOSEN.enter_context(sdpa_kernel(order, set_priority=True))
    attention = order[0].name.lower().removesuffix("_attention")
    return GraphEngine(
        name, eager, parts, job, CudaRecorder(eager.device), CudaTransfers(eager.device, job),
        {"attention": attention, **facts}, follows_weights=follows_weights(kind_of(name), job),
    )  # fmt: skip


class CudaRecorder:
    """Captures on streams of its own while other threads work on theirs.

    apart: on another stream too, since cuBLAS has one workspace for each, and a recording goes on using its own.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream, self._apart = _stream(device), _stream(device)
        self._shared = torch.cuda.graph_pool_handle()

    def record(self, work: Work, warm_up: Work | None = None, *, apart: bool = False) -> tuple[Any, Replay]:
        stream = self._apart if apart else self._stream
        pool = torch.cuda.graph_pool_handle() if apart else self._shared
        with _CAPTURING, torch.cuda.stream(stream), torch.no_grad(), keeping() as kept:
            stream.wait_stream(torch.cuda.default_stream(stream.device))
            for _ in range(WARM_UPS):
                (warm_up or work)()
            stream.synchronize()
            graph, result = _captured(work, pool)

        def replay(needed: object = kept) -> None:
            graph.replay()

        return result, replay


def _captured(work: Work, pool: Any) -> tuple[torch.cuda.CUDAGraph, Any]:
    """Not `torch.cuda.graph`: that collects garbage and waits for the whole device, painting included.

    thread_local: what the painting thread does meanwhile is no part of this capture and not forbidden. No garbage is
    collected meanwhile: freeing memory or a module would be part of it, and forbidden.
    """
    graph = torch.cuda.CUDAGraph()
    collecting = gc.isenabled()
    gc.disable()
    try:
        graph.capture_begin(pool=pool, capture_error_mode="thread_local")
        try:
            result = work()
            graph.capture_end()
        except BaseException:
            _abandon(graph, pool)
            raise
    finally:
        if collecting:
            gc.enable()
    return graph, result


def _abandon(graph: torch.cuda.CUDAGraph, pool: Any) -> None:
    """After a failed capture `capture_end` throws before it has told allocator and generator that it is over; then
    the one would hold memory back for good and the other refuse every draw (PyTorch before 2.13)."""
    with contextlib.suppress(RuntimeError):
        graph.capture_end()
        return
    with contextlib.suppress(RuntimeError):
        torch._C._cuda_endAllocateToPool(torch.cuda.current_device(), pool)
    with contextlib.suppress(RuntimeError):
        nothing = torch.cuda.CUDAGraph()
        nothing.capture_begin(capture_error_mode="thread_local")
        nothing.capture_end()


class CudaTransfers:
    """Two pinned buffers up and two down, latents in a ring; each queue waits for the others on the card."""

    def __init__(self, device: torch.device, job: Job) -> None:
        pictures = (job.frames, job.height, job.width, 3)
        self._up, self._down = _stream(device), _stream(device)
        self._main = torch.cuda.default_stream(device)
        with torch.inference_mode(False):
            self._staging = [torch.empty(pictures, dtype=torch.uint8, pin_memory=True) for _ in range(2)]
            self._arrived = [torch.empty(pictures, dtype=torch.uint8, device=device) for _ in range(2)]
            self._fetched = [torch.empty(pictures, dtype=torch.uint8, pin_memory=True) for _ in range(3)]
        self._uploaded, self._taken, self._done = _events(2), _events(2), _events(3)
        self._turn_up = self._turn_down = self._turn_ring = 0
        self._ring: list[Tensor] = []
        self._written, self._read = _events(_RING), _events(_RING)
        self._place: dict[int, int] = {}

    def upload(self, pictures: Pictures, into: Tensor) -> None:
        i = self._turn_up = 1 - self._turn_up
        self._uploaded[i].synchronize()  # of two frames ago: long done
        np.copyto(self._staging[i].numpy(), np.asarray(pictures))
        with torch.cuda.stream(self._up):
            self._up.wait_event(self._taken[i])
            self._arrived[i].copy_(self._staging[i], non_blocking=True)
            self._uploaded[i].record(self._up)
        stream = torch.cuda.current_stream()
        stream.wait_event(self._uploaded[i])
        into.copy_(self._arrived[i], non_blocking=True)
        self._taken[i].record(stream)

    def keep(self, latents: Tensor) -> Tensor:
        if not self._ring or self._ring[0].shape != latents.shape or self._ring[0].dtype != latents.dtype:
            with torch.inference_mode(False):
                self._ring = [torch.empty_like(latents) for _ in range(_RING)]
            self._place = {t.data_ptr(): i for i, t in enumerate(self._ring)}
        i = self._turn_ring = (self._turn_ring + 1) % _RING
        stream = torch.cuda.current_stream()
        stream.wait_event(self._read[i])
        self._ring[i].copy_(latents)
        self._written[i].record(stream)
        return self._ring[i]

    def decode(self, latents: Tensor, into: Tensor, replay: Replay, pictures: Tensor) -> Pending:
        i = self._turn_down = (self._turn_down + 1) % len(self._fetched)
        place = self._place.get(latents.data_ptr())
        with torch.cuda.stream(self._down):
            if place is None:
                self._down.wait_stream(self._main)  # latents from elsewhere: whatever made them comes first
            else:
                self._down.wait_event(self._written[place])
            into.copy_(latents, non_blocking=True)
            if place is not None:
                self._read[place].record(self._down)
            replay()
            self._fetched[i].copy_(pictures, non_blocking=True)
            self._done[i].record(self._down)
        return _Fetched(self._fetched[i], self._done[i])


class _Fetched:
    """Pictures on their way down; they stay until the third `decode` after."""

    def __init__(self, pictures: Tensor, done: Any) -> None:
        self._pictures, self._done = pictures, done

    def ready(self) -> bool:
        return bool(self._done.query())

    def result(self) -> Tensor:
        self._done.synchronize()
        return self._pictures


def _stream(device: torch.device) -> torch.cuda.Stream:
    made: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    return made


def _events(count: int) -> list[Any]:
    """Events that were never recorded count as past."""
    return [torch.cuda.Event() for _ in range(count)]  # type: ignore[no-untyped-call]
