"""Puts the data plane of one engine process together: model, engine, stream batch, filter, runner; warms it up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from pipeline.admission import Admission
from pipeline.carried_paint import CarriedPaint
from pipeline.conditioning import TextConditioner
from pipeline.configs import EngineConfig
from pipeline.consistency import TemporalConsistency
from pipeline.content_guard import ContentGuard, find_check
from pipeline.devices import compiled_threads, cores, denoiser_threads, device_for, device_name, dtype_for
from pipeline.engine.build_process import build_in_process
from pipeline.engine.eager import EagerEngine
from pipeline.engine.job import Job
from pipeline.engine.kinds._contract import wanted
from pipeline.engine.switch import EngineSwitch
from pipeline.engine.upgrade import Tell, Upgrade
from pipeline.frame import now_ns
from pipeline.live_admission import LiveAdmission, Target
from pipeline.messages import GuidanceForm, LiveState, Mode
from pipeline.models.load import load_lora, load_model
from pipeline.models.model import Model
from pipeline.prepared import Prepared, Tag
from pipeline.runner import Runner
from pipeline.schedule import Schedule
from pipeline.similarity import SimilarityFilter, SimilarityOptions
from pipeline.slot import SlotReader, SlotWriter
from pipeline.stream import Stream, make_stream
from pipeline.stream_shape import StreamShape

Progress = Callable[[str, float | None], None]
Say = Callable[[str, str], None]
"""(level, message)"""


@dataclass(eq=False, slots=True)
class Build:
    """Everything of one engine process. info: plain facts for `status`."""

    config: EngineConfig
    runner: Runner
    engine: EngineSwitch
    admissions: LiveAdmission
    similarity: SimilarityFilter
    consistency: TemporalConsistency
    carried: CarriedPaint
    model: Model
    info: dict[str, Any]
    say: Say
    upgrade: Upgrade
    _asked: StreamShape
    _loras: dict[str, float] = field(default_factory=dict)

    def start(self) -> None:
        """Paint, and look for a faster engine meanwhile."""
        self.runner.start()
        self.upgrade.start()

    def stop(self) -> None:
        self.runner.stop()
        self.upgrade.stop()
        self.engine.close()

    def settle(self, timeout_s: float) -> bool:
        """Before `start`, for benchmarks: wait until the engine that would paint in the end paints. Whether it does;
        `upgrade.refused` says why not."""
        self.upgrade.start()
        return self.upgrade.settled.wait(timeout_s)

    def apply(self, state: LiveState) -> None:
        """Take a new state whole, from the next frame on. On the listening thread: the slow part is done here."""
        options = SimilarityOptions.of(state)
        # Frames of a text-to-image clock all look alike.
        self.similarity.options = replace(options, enabled=options.enabled and self.config.pictures)
        self.consistency.amount = self.carried.amount = state.steadiness
        shape = self._shape_of(state)
        stream = self._made(shape) if shape != self._asked else None
        weights = self._lora_weights(state)
        if weights == self._loras:
            ready = self.admissions.prepared(state, now_ns())
            self.runner.between_frames(lambda: self._take(shape, stream, ready))
        else:
            # Fused weights are the model's own: they change between two frames, on the denoiser's thread, and the
            # prompt is encoded with them.
            self._loras = weights

            def fuse() -> None:
                if not self.engine.follows_weights:
                    self.upgrade.fall_back()
                self.model.set_lora_weights(weights)
                self._take(shape, stream, self.admissions.prepared(state, now_ns()))

            self.runner.between_frames(fuse)
        if state.mode is Mode.STYLED:
            self.runner.working.set()
        else:
            self.runner.working.clear()

    def prepare(self, prompts: Sequence[str]) -> None:
        """Encode ahead what may be wanted soon. On the thread that calls `apply`."""
        self.admissions.prepare(prompts)

    def _shape_of(self, state: LiveState) -> StreamShape:
        return StreamShape.of(state, self.config.frame_buffer_size, self.config.canvas, self.model.vae_scale)

    def _made(self, shape: StreamShape) -> Stream:
        self._asked = shape
        stream = make_stream(shape, self.engine, self.config, self.consistency, lambda: self.admissions.seed)
        self.admissions.draw_noise_with(stream.noise_of)
        return stream

    def _take(self, shape: StreamShape, stream: Stream | None, ready: Target) -> None:
        """Between two frames, on the denoiser's thread. Where the new stream cannot run, the old one goes on."""
        if stream is not None:
            try:
                self.engine.prepare_for(shape)
                self._rehearse(stream, ready.admission)
            except (RuntimeError, MemoryError) as error:  # torch's "out of memory" is a RuntimeError
                self._asked = self.runner.stream.shape
                self.say("warning", f"{shape} cannot be run here, {self._asked} goes on: {error}")
                return
            self.runner.replace_stream(stream)
            self.info = {**self.info, **facts_of(shape, self.info)}
        if shape == self.runner.stream.shape:
            self.admissions.take(ready)
        self._want(ready.admission.form)

    def _want(self, form: GuidanceForm) -> None:
        """The engine for the present shape, weights and form of guidance; at once where it is there already."""
        threads = self.config.threads or compiled_threads(cores())
        self.upgrade.want(Job.of(self.config, self.model, self.runner.stream.shape, form, threads))

    def warm_up(self) -> None:
        """Before the stages run: every part of a step once, decoding too."""
        stream, admission = self.runner.stream, self.admissions.at(now_ns())[0]
        self.engine.prepare_for(stream.shape)
        self._rehearse(stream, admission)
        latents = admission.noise.new_zeros((stream.shape.frames, *admission.noise.shape[1:]))
        self.engine.decode(latents)

    def _rehearse(self, stream: Stream, admission: Admission) -> None:
        """Real calls, so that the first camera frame finds kernels chosen and memory taken."""
        self.consistency.reset()
        frames, canvas = self.config.frame_buffer_size, self.config.canvas
        grey = np.full((frames, canvas.height, canvas.width, 3), 127, np.uint8)
        prepared = Prepared(grey, tuple(Tag(0, 0, None, 0) for _ in range(frames)))
        for leaving in [self.runner.feed(stream, prepared, admission) for _ in range(2)]:
            if leaving is not None:
                leaving.emitted()
        stream.batch.reset()
        self.consistency.reset()

    def _lora_weights(self, state: LiveState) -> dict[str, float]:
        """Of the live styles, blended as the styles are; reads the files of those that are new."""
        weights: dict[str, float] = {}
        for style, share in state.blend or ((state.style, 1.0),):
            for name, weight in style.loras:
                weights[name] = weights.get(name, 0.0) + weight * share
        for name in weights:
            load_lora(self.model, name)
        return weights

    def engine_facts(self) -> dict[str, Any]:
        """Which engine paints, which is being built ("" for none), and which were refused and why."""
        return {
            "kind": self.engine.kind,
            "building": self.upgrade.building,
            "refused": self.upgrade.refused,
            "lanes": self.engine.lanes,
            "frames_behind": self._frames_behind(),
            **self.engine.info(),
        }

    def _frames_behind(self) -> int:
        """Frames that leave the denoiser between the admission of one and its own leaving."""
        calls = self.engine.calls_to_leave(self.runner.stream.shape.steps)
        return (calls - 1 + self.engine.lanes - 1) * self.config.frame_buffer_size

    def report(self) -> dict[str, Any]:
        """Counts since the start, and how long the denoiser has been busy with the present call (seconds)."""
        counts = self.runner.counts
        return {
            "frames_in": counts.frames_in,
            "frames_out": counts.frames_out,
            "calls": counts.calls,
            "skipped": counts.skipped,
            "dropped": self.runner.dropped,
            "superseded": counts.superseded,
            "invalid": counts.invalid,
            "withheld": self.runner.withheld,
            "frame_ms": self.runner.frame_times.summary(),
            "busy_s": self.runner.busy_s,
            "revision": self.admissions.revision,
            "shape": {key: self.info[key] for key in ("steps", "size", "detail")},
            "engine": self.engine_facts(),
            "stages": self.runner.times.facts(),
            "gpu_mb": _reserved_mb(self.model.device),
        }


def build(
    config: EngineConfig,
    state: LiveState,
    camera: SlotReader,
    styled: SlotWriter,
    progress: Progress,
    say: Say,
    tell: Tell = lambda level, message, data: None,
) -> Build:
    """Load, put together and warm up. Raises ModelError or EngineError with what mends it."""
    device = device_for(config.device)
    if device.type == "cpu":
        torch.set_num_threads(config.threads or denoiser_threads(cores()))
    dtype = dtype_for(config.dtype, device)
    model = load_model(
        config.model,
        vae=config.vae,
        loras=config.loras,
        device=device,
        dtype=dtype,
        offline=config.offline,
        allow_pickle=config.allow_pickle,
        progress=progress,
    )
    if device.type == "cuda":
        model.unet.fuse_attention()  # moves weights: before anything remembers where they lie
    eager = EagerEngine(model)
    engine = EngineSwitch(eager)
    conditioner = TextConditioner(
        model,
        on_truncated=lambda prompt, dropped: say("warning", f"the prompt is too long; not used: {dropped!r}"),
    )
    consistency, carried = TemporalConsistency(state.steadiness), CarriedPaint(state.steadiness)
    shape = StreamShape.of(state, config.frame_buffer_size, config.canvas, model.vae_scale)
    stream = make_stream(shape, engine, config, consistency, lambda: admissions.seed)
    admissions = LiveAdmission(
        conditioner,
        lambda t_index_list, strength: Schedule.of(model.alphas_cumprod, t_index_list, strength),
        stream.noise_of,
        pictures=config.pictures,
    )
    similarity = SimilarityFilter()
    guard = None if config.check is None else ContentGuard(find_check(config.check), say)
    runner = Runner(
        config, camera, styled, engine, stream, admissions, similarity, carried,
        on_invalid=lambda n: say("warning", f"{n} frames with NaN or infinite values were dropped"),
        guard=guard,
    )  # fmt: skip
    info = {
        "kind": engine.kind,
        "device": device_name(device),
        "dtype": str(dtype).removeprefix("torch."),
        "model": model.name,
        "frame_buffer_size": config.frame_buffer_size,
        "torch": torch.__version__,
        "threads": torch.get_num_threads() if device.type == "cpu" else 0,
    }
    info.update(facts_of(shape, info))
    upgrade = Upgrade(
        engine, eager, wanted(config.kind, device.type), runner, build_in_process, tell,
        asked_for=config.kind != "auto",
    )  # fmt: skip
    made = Build(
        config, runner, engine, admissions, similarity, consistency, carried, model, info, say, upgrade, shape
    )
    made.apply(state)
    progress("warming up", None)
    made.warm_up()
    return made


def _reserved_mb(device: torch.device) -> float | None:
    """Memory that PyTorch holds of a card, in 10⁶ bytes; None elsewhere."""
    return round(torch.cuda.memory_reserved(device) / 1e6, 1) if device.type == "cuda" else None


def facts_of(shape: StreamShape, info: dict[str, Any]) -> dict[str, Any]:
    """The part of an engine's facts that changes with the shape."""
    detail = f"{info['model']} on {info['device']}, {info['dtype']}, {shape.canvas}, {shape.said_steps}"
    return {"steps": shape.steps, "size": str(shape.canvas), "detail": detail}
