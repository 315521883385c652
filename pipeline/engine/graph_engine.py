"""An engine whose work is recorded once and replayed: CUDA graphs over static buffers.

Three recordings a frame, replayed one after the other with nothing waited for:

    encode   uint8 pictures → z
    step     x_k = a_k x̂ + b_k N → UNet → guidance → consistency function → next slots (`StreamBatch.compute` whole)
    decode   latents → uint8 pictures, on a stream of its own, beside the next frame's encode and UNet

Three and not one: between encode and step the temporal consistency decides on the CPU what stands still, and decode
overlaps. Prompt, seed, strength, guidance scale and delta are numbers in static tensors (`StreamState`,
`RowContexts`): their change records nothing anew. Each form of guidance is a layout of its own, and all four are
recorded ahead; while guidance changes, layouts are mixed for T − 1 calls: then the UNet alone is replayed, by its
number of rows.

What records and what moves bytes is given (`Recorder`, `Transfers`): `cuda_capture.py` has the card's, the tests a
tape that replays the very operations on the very addresses of a CPU.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from pipeline.admission import Admission, Emitted
from pipeline.conditioning import TextContext
from pipeline.cross_attention import KV
from pipeline.engine.eager import EagerEngine
from pipeline.engine.engine import StreamBatched
from pipeline.engine.job import Job
from pipeline.engine.parts import Parts, example, flat, paired
from pipeline.engine.pictures import Pending, Pictures

if TYPE_CHECKING:
    from pipeline.stream_batch import StreamBatch
    from pipeline.stream_shape import StreamShape
    from pipeline.stream_state import Layout

log = logging.getLogger(__name__)

Work = Callable[[], Any]
Replay = Callable[[], None]


class Recorder(Protocol):
    def record(self, work: Work, warm_up: Work | None = None, *, apart: bool = False) -> tuple[Any, Replay]:
        """What `work` returned, in memory that every replay writes anew, and the replay.

        work must have no effect when it is recorded but on what it returns, or (a step) do no work then. warm_up:
        the same operations on other memory, run before (None: `work` itself). apart: in memory that may be written
        while other recordings run.
        """
        ...


class Transfers(Protocol):
    """Pictures up, latents across, pictures down: each on a queue of the device's own, none waited for here."""

    def upload(self, pictures: Pictures, into: Tensor) -> None: ...

    def keep(self, latents: Tensor) -> Tensor:
        """A copy that stays until it was decoded."""
        ...

    def decode(self, latents: Tensor, into: Tensor, replay: Replay, pictures: Tensor) -> Pending:
        """`latents` into the recording's own input, replayed beside everything else, its `pictures` brought down."""
        ...


class GraphEngine(StreamBatched):
    """One canvas and F frames. `encode`, `predict`, `step`: one thread; `decode_async`: another one."""

    def __init__(
        self, name: str, eager: EagerEngine, parts: Parts, job: Job, recorder: Recorder, transfers: Transfers,
        facts: dict[str, Any], *, follows_weights: bool,
    ) -> None:  # fmt: skip
        model = eager.model
        self.model, self.device, self.dtype = model, eager.device, eager.dtype
        self.kind = name
        self.follows_weights = follows_weights
        self._eager, self._recorder, self._transfers = eager, recorder, transfers
        self.parts = parts
        self._facts = facts
        latents = (
            job.frames,
            model.latent_channels,
            job.height // model.vae_scale,
            job.width // model.vae_scale,
        )
        with torch.inference_mode(False):
            self._pictures = torch.zeros(
                (job.frames, job.height, job.width, 3), dtype=torch.uint8, device=self.device
            )
            self._z = torch.zeros(latents, device=self.device)
        with torch.no_grad():
            self._encoded, self._encode = recorder.record(lambda: parts.encode(self._pictures))
            self._decoded, self._decode = recorder.record(lambda: parts.decode(self._z), apart=True)
            self._unets = {rows: _UNet(self, rows, job) for rows in sorted(parts.rows())}
        self.on_missing: Callable[[int], None] = lambda rows: None
        self._job = job
        self._asked: set[int] = set()
        self._steps: tuple[StreamBatch | None, dict[Layout, _Step]] = None, {}  # of that batch's tensors
        self._batch: StreamBatch | None = None
        self._wanted: queue.SimpleQueue[StreamBatch | None] = queue.SimpleQueue()
        self._asking = threading.Lock()  # of `_wanted` and `_recorded` together
        self._recorded = threading.Event()
        self._failed = False
        threading.Thread(target=self._record_steps, name="graph-record", daemon=True).start()

    # ------------------------------------------------------------ a frame

    @torch.no_grad()
    def encode(self, pictures: Pictures) -> Tensor:
        if tuple(pictures.shape) != tuple(self._pictures.shape):
            return self._eager.encode(pictures)
        self._transfers.upload(pictures, self._pictures)
        self._encode()
        encoded: Tensor = self._encoded
        return encoded

    @torch.no_grad()
    def predict(self, x: Tensor, timesteps: Tensor, context: TextContext) -> Tensor:
        unet = self._unets.get(x.shape[0])
        if unet is None or tuple(x.shape[1:]) != tuple(self._z.shape[1:]):
            if tuple(x.shape[1:]) == tuple(self._z.shape[1:]) and x.shape[0] not in self._asked:
                self._asked.add(x.shape[0])
                self.on_missing(x.shape[0])
            return self._eager.predict(x, timesteps, context)
        kv = self.model.unet.project_text(context.embeds) if context.kv is None else context.kv
        return unet(x, self.model.unet.waves(timesteps), kv).to(x.dtype)

    @torch.no_grad()
    def step(
        self, batch: StreamBatch, latents: Tensor, admission: Admission, tags: Sequence[object]
    ) -> Emitted | None:
        batch.allocate(latents)
        adopted = batch is not self._batch
        if adopted:
            self._adopt(batch)
        layout = batch.load(admission, tags)
        of, steps = self._steps
        recorded = steps.get(layout) if of is batch else None
        if recorded is None:
            emitted, finite = batch.compute(latents, layout)
        else:
            emitted, finite = recorded(latents)
        out = batch.collect(self._transfers.keep(emitted), finite)
        if adopted:
            self._want(batch)  # every static tensor has its place now
        return out

    def decode(self, latents: Tensor) -> Tensor:
        return self.decode_async(latents).result().clone()

    @torch.no_grad()
    def decode_async(self, latents: Tensor) -> Pending:
        if tuple(latents.shape) != tuple(self._z.shape):
            return self._eager.decode_async(latents)
        return self._transfers.decode(latents, self._z, self._decode, self._decoded)

    def prepare_for(self, shape: StreamShape) -> None:
        pass

    def info(self) -> dict[str, Any]:
        return {**self._facts, "rows": sorted(self._unets), "graphs": len(self._steps[1])}

    def close(self) -> None:
        self._wanted.put(None)

    # ------------------------------------------------------------ recording steps

    def _adopt(self, batch: StreamBatch) -> None:
        """Another stream batch has other tensors: its layouts are recorded beside the frames that go on."""
        self._steps = None, {}
        self._batch = batch
        batch.reserve()
        self._recorded.clear()

    def _want(self, batch: StreamBatch) -> None:
        with self._asking:
            self._recorded.clear()
            self._wanted.put(batch)

    def extend(self, rows: int) -> None:
        """Record what was compiled for one more number of rows. From another thread than the painting one."""
        self.parts.add(rows)
        with torch.no_grad():
            self._unets = {**self._unets, rows: _UNet(self, rows, self._job)}
        if (batch := self._batch) is not None:
            self._want(batch)

    def recorded(self, timeout_s: float) -> bool:
        """Waits for the recordings of all forms of guidance; whether they are there. For tests and benchmarks."""
        return self._recorded.wait(timeout_s) and not self._failed

    def _record_steps(self) -> None:
        while (batch := self._wanted.get()) is not None:
            if batch is self._batch:
                self._failed = not self._record_lacking(batch)
            with self._asking:
                if self._wanted.empty():
                    self._recorded.set()

    def _record_lacking(self, batch: StreamBatch) -> bool:
        """Every layout whose number of rows is there and that has no recording yet. Whether all were recorded."""
        well = True
        for layout, context in batch.steady_layouts():
            of, steps = self._steps
            made = steps if of is batch else {}
            if layout in made or layout.rows not in self.parts.rows():
                continue
            try:
                self._steps = batch, {**made, layout: _Step(self, batch, layout, context)}
            except Exception:
                log.exception("%s: a step is not recorded; the UNet alone is", self.kind)
                well = False
        return well

    def compute(self, x: Tensor, timesteps: Tensor, context: TextContext) -> Tensor:
        """The UNet inside a recording: the parts' own operations, no recording of their own."""
        kv = self.model.unet.project_text(context.embeds) if context.kv is None else context.kv
        return self.parts.unet(x.float(), self.model.unet.waves(timesteps), kv)


class _UNet:
    """The UNet of one number of rows over static inputs."""

    def __init__(self, engine: GraphEngine, rows: int, job: Job) -> None:
        with torch.inference_mode(False):
            self._inputs = [t.clone() for t in example(engine.model, rows, job.height, job.width)]
        x, waves, *kv = self._inputs
        pairs: KV = paired(tuple(kv))
        self._out, self._replay = engine._recorder.record(lambda: engine.parts.unet(x, waves, pairs))

    def __call__(self, x: Tensor, waves: Tensor, kv: KV) -> Tensor:
        rows = x.shape[0]
        given = [x.float(), waves, *(t.expand(rows, -1, -1, -1) for t in flat(kv))]
        for static, tensor in zip(self._inputs, given, strict=True):
            static.copy_(tensor)
        self._replay()
        out: Tensor = self._out
        return out


class _Step:
    """One layout of one stream batch: its `compute` over static latents."""

    def __init__(self, engine: GraphEngine, batch: StreamBatch, layout: Layout, context: TextContext) -> None:
        with torch.inference_mode(False), torch.no_grad():
            self._latents = torch.zeros_like(engine._z, dtype=batch.latents_dtype)
            twin = batch.twin()
            (self._emitted, self._finite), self._replay = engine._recorder.record(
                lambda: batch.compute(self._latents, layout, engine.compute, context),
                lambda: twin.compute(self._latents, layout, engine.compute, context),
            )

    def __call__(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        self._latents.copy_(latents)
        self._replay()
        return self._emitted, self._finite
