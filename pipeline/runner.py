"""The one loop that orders the stages, on three threads so that the model is the only bottleneck.

prepare:  newest camera frames → similarity filter → handed over, one deep, newest wins
denoise:  encode → stream batch, or a lane (`pipeline.lanes`); waits for nothing but frames
publish:  decode, device → host, steadied, padding cut off, enlarged to the output's size, written into shared memory
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from torch import Tensor

from pipeline.admission import Admission, Leaving
from pipeline.carried_paint import CarriedPaint
from pipeline.configs import EngineConfig
from pipeline.content_guard import ContentGuard
from pipeline.engine.engine import Engine
from pipeline.frame import Image, now_ns
from pipeline.frame_times import FrameTimes
from pipeline.handoff import Handoff
from pipeline.live_admission import LiveAdmission
from pipeline.metrics import StageTimes
from pipeline.pixels import resize, size_of, take_from_canvas
from pipeline.prepared import Pictures, Prepared, Tag, shrunk
from pipeline.similarity import SimilarityFilter
from pipeline.slot import SlotReader, SlotWriter
from pipeline.stream import Stream

STALL_S: Final = 0.25  # a camera that gives nothing for so long is standing still
_STAGING: Final = 3  # one being filled, one waiting, one being denoised


@dataclass(slots=True)
class Counts:
    """Written by one thread each, read by any."""

    frames_in: int = 0
    skipped: int = 0
    superseded: int = 0  # prepared, but a newer frame took the place before the denoiser was free
    calls: int = 0
    frames_out: int = 0
    invalid: int = 0  # NaN or Inf: dropped, never shown
    last_call_ns: int = field(default_factory=now_ns)


@dataclass(frozen=True, slots=True)
class _Finished:
    """What a call gave, of which stream, when it began, and how many were worked on at a time."""

    leaving: Leaving
    stream: Stream
    began_ns: int
    lanes: int


class Runner:
    """Runs the stages from `start` to `stop`. `failed` is what ended a stage's thread, if anything did."""

    def __init__(
        self,
        config: EngineConfig,
        camera: SlotReader,
        styled: SlotWriter,
        engine: Engine,
        stream: Stream,
        admissions: LiveAdmission,
        similarity: SimilarityFilter,
        carried: CarriedPaint,
        *,
        on_invalid: Callable[[int], None],
        guard: ContentGuard | None = None,
    ) -> None:
        self._config = config
        self._camera = camera
        self._styled = styled
        self._engine = engine
        self._stream = stream
        self._admissions = admissions
        self._filter = similarity
        self._carried = carried
        self._on_invalid = on_invalid
        self._guard = guard
        self._frames = config.frame_buffer_size
        shape = (self._frames, config.canvas.height, config.canvas.width, 3)
        self._staging = [np.empty(shape, np.uint8) for _ in range(_STAGING)]
        self._small: list[Pictures | None] = [None] * _STAGING
        self._between: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._pending: Handoff[Prepared] = Handoff()
        self._last: tuple[Stream, Prepared, Admission] | None = None  # fed last, by the denoiser
        self._awaited_ns: int | None = None  # when the call began whose frames the publisher waits for
        self._finished: queue.Queue[_Finished | None] = queue.Queue(maxsize=1)
        self._threads_of_unet = torch.get_num_threads()
        self._halt = threading.Event()
        self.working = threading.Event()  # cleared while nothing is wanted (bypass, freeze, panic)
        self.working.set()
        self.newest: Prepared | None = None  # what was denoised last; its pixels are soon written over
        self.counts = Counts()
        self.times = StageTimes("prepare", "wait", "denoise", "decode", "enlarge")
        self.frame_times = FrameTimes()
        self.failed: BaseException | None = None
        stages = (self._prepare, self._denoise, self._publish)
        self._threads = [
            threading.Thread(target=self._guarded(s), name=s.__name__.strip("_"), daemon=True) for s in stages
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    @property
    def dropped(self) -> int:
        """Camera frames that were overwritten before the preparing thread looked."""
        return self._camera.dropped

    @property
    def busy_s(self) -> float:
        """For how many seconds the denoiser has been at the call that is due next; waiting for frames is none."""
        since, awaited = self.counts.last_call_ns, self._awaited_ns
        return (now_ns() - (since if awaited is None else min(since, awaited))) / 1e9

    @property
    def withheld(self) -> int:
        """Painted pictures that the content check has refused."""
        return 0 if self._guard is None else self._guard.withheld

    def between_frames(self, change: Callable[[], None]) -> None:
        """Run `change` on the denoiser's thread before its next call (here and now, while the stages do not run)."""
        if not self._threads[0].is_alive():
            change()
        else:
            self._between.put(change)
            self._pending.wake()

    @property
    def stream(self) -> Stream:
        """What frames go through now."""
        return self._stream

    def replace_stream(self, stream: Stream) -> None:
        """Frames go through `stream` from the next call on; those in the old batch are given up (on a lane they still
        leave), and the picture that is shown stays until the first one comes out. Between frames only."""
        self._stream = stream
        self.frame_times.clear()

    def turn(self, prepared: Prepared) -> Tensor | None:
        """One whole call, waited for: encode, stream batch, decode. [F, H, W, 3] uint8 on the CPU, or None.

        For warm-up and benchmarks; not while the stages run.
        """
        admission, _ = self._admissions.at(now_ns())
        leaving = self.feed(self._stream, prepared, admission)
        return None if leaving is None else self._engine.decode_async(leaving.emitted().latents).result()

    def feed(self, stream: Stream, prepared: Prepared, admission: Admission) -> Leaving | None:
        """Encode and one step of the engine."""
        self._last = stream, prepared, admission
        tags = tuple(tag._replace(revision=admission.revision) for tag in prepared.tags)
        if self._config.pictures and self._carried.amount > 0:
            # Copies: the staging memory holds other frames by the time these are painted.
            pictures = prepared.on(stream.shape.canvas)
            tags = tuple(t._replace(camera=p.copy()) for t, p in zip(tags, pictures, strict=True))
        return self._engine.step(stream.batch, stream.latents_of(prepared, admission), admission, tags)

    def live_frames(self) -> tuple[Pictures, Admission] | None:
        """A copy of the pictures that were fed last, on the stream's canvas, and their state. From any thread: a
        newer frame may have begun to overwrite them, which makes them no less a picture."""
        if (last := self._last) is None:
            return None
        stream, prepared, admission = last
        return prepared.on(stream.shape.canvas).copy(), admission

    def stop(self, wait_s: float = 1.0) -> None:
        self._halt.set()
        self.working.set()
        self._pending.close()
        for thread in self._threads:
            thread.join(wait_s)

    # ------------------------------------------------------------ prepare

    def _prepare(self) -> None:
        turn = 0
        admitted: tuple[int, Stream | None] = (0, None)  # revision and stream of the last frames let through
        undrained = 0  # calls until the last new frame has left the denoiser
        last: Prepared | None = None
        while not self._halt.is_set():
            if not self.working.wait(STALL_S):
                continue
            pixels = self._staging[turn]
            tags = self._gather(pixels)
            stream = self._stream
            began = now_ns()
            admission, morphing = self._admissions.at(now_ns())
            present = (admission.revision, stream)
            if tags is None:
                # The camera stands still: let what is in flight out, and let a new prompt be seen.
                if last is not None and (undrained > 0 or morphing or present != admitted):
                    undrained = self._calls_to_leave(stream) if present != admitted else undrained - 1
                    admitted = present
                    self._pending.offer(last)
                continue
            if self._pending.withdraw() is not None:
                self.counts.superseded += 1
                self._filter.withdraw()
            decision = self._filter.decide(
                pixels,
                state_changed=present != admitted,
                morphing=morphing,
                in_flight_calls=self._calls_to_leave(stream),
            )
            if not decision.process:
                self.counts.skipped += self._frames
                self.frame_times.skipped(self._frames)
                continue
            admitted, undrained = present, self._calls_to_leave(stream) - 1
            last = Prepared(pixels, tags, self._on_canvas_of(stream, turn))
            self._pending.offer(last)
            self.times.since("prepare", began)
            turn = (turn + 1) % _STAGING

    def _calls_to_leave(self, stream: Stream) -> int:
        return self._engine.calls_to_leave(stream.shape.steps)

    def _on_canvas_of(self, stream: Stream, turn: int) -> Pictures | None:
        """The frames of this place on the stream's canvas, where that is smaller than the camera's."""
        canvas, pixels, small = stream.shape.canvas, self._staging[turn], self._small[turn]
        if size_of(pixels[0]) == canvas:
            return None
        reused = small if small is not None and size_of(small[0]) == canvas else None
        self._small[turn] = shrunk(pixels, canvas, reused)
        return self._small[turn]

    def _gather(self, into: Pictures) -> tuple[Tag, ...] | None:
        """The next F frames, copied; None when the camera stalls before there are F."""
        tags: list[Tag] = []
        while len(tags) < self._frames:
            frame = self._camera.wait(STALL_S)
            if frame is None or self._halt.is_set():
                return None
            if frame.image.shape != into.shape[1:]:
                continue  # from before the canvas was made smaller
            self.counts.frames_in += 1
            np.copyto(into[len(tags)], frame.image)
            tags.append(Tag(frame.seq, frame.t_capture, frame.content, 0))
        return tuple(tags)

    # ------------------------------------------------------------ denoise

    def _denoise(self) -> None:
        torch.set_num_threads(self._threads_of_unet)
        while not self._halt.is_set():
            if not self._engine.ready(STALL_S):
                continue  # the newest frame is the one to take when there is room for it
            prepared = self._pending.take(STALL_S)
            while not self._between.empty():
                self._between.get()()
            if prepared is None:
                self.counts.last_call_ns = now_ns()  # waiting for frames is not hanging
                continue
            self.newest = prepared
            began = self.times.since("wait", prepared.ready_ns)
            admission, _ = self._admissions.at(began)
            leaving = self.feed(self._stream, prepared, admission)
            self.counts.calls += 1
            if leaving is not None:
                self._hand_over(_Finished(leaving, self._stream, began, self._engine.lanes))
            self.counts.last_call_ns = now_ns()
        self._finished.put(None)

    def _hand_over(self, finished: _Finished) -> None:
        while not self._halt.is_set():
            try:
                self._finished.put(finished, timeout=STALL_S)
            except queue.Full:
                continue
            return

    # ------------------------------------------------------------ publish

    def _publish(self) -> None:
        torch.set_num_threads(1)  # this thread's own: the others keep theirs
        while (finished := self._finished.get()) is not None:
            self._awaited_ns = finished.began_ns
            emitted = finished.leaving.emitted()
            self._awaited_ns = None
            if finished.stream is self._stream:
                self.frame_times.denoised(
                    (emitted.left_ns - finished.began_ns) // finished.lanes, self._frames
                )
            self.times.between("denoise", finished.began_ns, emitted.left_ns)
            began = now_ns()
            images = self._engine.decode_async(emitted.latents).result().numpy()
            valid = emitted.valid()
            released = self.times.since("decode", began)
            took = released - began
            for image, tag, good in zip(images, emitted.tags, valid, strict=True):
                assert isinstance(tag, Tag)
                if not good:
                    self.counts.invalid += 1
                    if self.counts.invalid % 100 == 1:  # said once, then now and then
                        self._on_invalid(self.counts.invalid)
                    continue
                first = emitted.tags[0]
                assert isinstance(first, Tag)
                # A buffer's frames go out at the spacing at which the camera took them.
                due = released + max(0, tag.t_capture - first.t_capture)
                if (left := due - now_ns()) > 0:
                    self._halt.wait(left / 1e9)
                began = now_ns()
                if tag.camera is not None:  # at the size of both, before anything is enlarged
                    image = self._carried.steadied(tag.camera, image, emitted.admission)
                if size_of(image) != self._config.canvas:
                    image = resize(image, self._config.canvas, "bicubic")
                self._write(image, tag)
                took += now_ns() - began
            self.frame_times.published(took, self._frames)

    def _write(self, image: Image, tag: Tag) -> None:
        config, began = self._config, now_ns()
        out = self._styled.begin(config.output)
        take_from_canvas(image, tag.content, config.output, config.fit, config.upscale, out=out)
        if self._guard is not None and not self._guard.judge(out):
            return  # refused, and nothing else to show: what was begun is never published
        self._styled.commit(seq=tag.seq, t_capture=tag.t_capture, revision=tag.revision)
        self.counts.frames_out += 1
        self.times.since("enlarge", began)

    def _guarded(self, stage: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                stage()
            except BaseException as error:
                self.failed = error  # the role ends with it; its supervisor starts another
                self._halt.set()
                raise

        return run
