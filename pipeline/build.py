"""Puts the data plane of one engine process together: model, engine, stream batch, filter, runner; warms it up."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.admission import Admission
from pipeline.conditioning import TextConditioner
from pipeline.configs import EngineConfig
from pipeline.consistency import TemporalConsistency
from pipeline.dream import Dream
from pipeline.engine import precision
from pipeline.engine.eager import EagerEngine
from pipeline.errors import EngineError
from pipeline.frame import now_ns
from pipeline.live_admission import LiveAdmission
from pipeline.messages import LiveState, Mode
from pipeline.models.load import load_lora, load_model
from pipeline.models.model import Model
from pipeline.noise import blend_noise, noise_for
from pipeline.runner import Prepared, Runner, Tag
from pipeline.schedule import Schedule
from pipeline.similarity import SimilarityFilter, SimilarityOptions
from pipeline.slot import SlotReader, SlotWriter
from pipeline.stream_batch import StreamBatch

Progress = Callable[[str, float | None], None]
Say = Callable[[str, str], None]
"""(level, message)"""


@dataclass(eq=False, slots=True)
class Build:
    """Everything of one engine process. info: plain facts for `status`."""

    runner: Runner
    admissions: LiveAdmission
    similarity: SimilarityFilter
    consistency: TemporalConsistency
    model: Model
    pictures: bool
    steps: int
    info: dict[str, Any]
    _loras: dict[str, float] = field(default_factory=dict)

    def apply(self, state: LiveState) -> None:
        """Take a new state whole. Raises EngineError for what needs another build."""
        if len(state.t_index_list) != self.steps:
            raise EngineError(
                f"t_index_list {list(state.t_index_list)} has {len(state.t_index_list)} steps, the engine {self.steps}",
                "give a list of the same length, or change denoiser.t_index_list and restart",
            )
        options = SimilarityOptions.of(state)
        # Frames of a text-to-image clock all look alike.
        self.similarity.options = replace(options, enabled=options.enabled and self.pictures)
        self.consistency.amount = state.steadiness
        weights = self._lora_weights(state)
        if weights == self._loras:
            self.admissions.update(state, now_ns())
        else:
            # Fused weights are the model's own: they change between two frames, on the denoiser's thread, and the
            # prompt is encoded with them.
            self._loras = weights
            self.runner.between_frames(lambda: self._fuse(weights, state))
        if state.mode is Mode.STYLED:
            self.runner.working.set()
        else:
            self.runner.working.clear()

    def prepare(self, prompts: Sequence[str]) -> None:
        """Encode ahead what may be wanted soon. On the thread that calls `apply`."""
        self.admissions.prepare(prompts)

    def _lora_weights(self, state: LiveState) -> dict[str, float]:
        """Of the live styles, blended as the styles are; reads the files of those that are new."""
        weights: dict[str, float] = {}
        for style, share in state.blend or ((state.style, 1.0),):
            for name, weight in style.loras:
                weights[name] = weights.get(name, 0.0) + weight * share
        for name in weights:
            load_lora(self.model, name)
        return weights

    def _fuse(self, weights: dict[str, float], state: LiveState) -> None:
        self.model.set_lora_weights(weights)
        self.admissions.update(state, now_ns())

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
            "busy_s": (now_ns() - counts.last_call_ns) / 1e9,
            "revision": self.admissions.revision,
        }


def build(
    config: EngineConfig,
    state: LiveState,
    camera: SlotReader,
    styled: SlotWriter,
    progress: Progress,
    say: Say,
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
    steps, frames = len(state.t_index_list), config.frame_buffer_size
    engine = EagerEngine(model)
    shape = (
        model.latent_channels,
        config.canvas.height // model.vae_scale,
        config.canvas.width // model.vae_scale,
    )

    def seeds_to_noise(seeds: Sequence[tuple[int, float]]) -> Tensor:
        return blend_noise(
            [(noise_for(seed, steps, *shape, device=device), weight) for seed, weight in seeds]
        )

    conditioner = TextConditioner(
        model,
        on_truncated=lambda prompt, dropped: say("warning", f"the prompt is too long; not used: {dropped!r}"),
    )
    admissions = LiveAdmission(
        conditioner,
        lambda t_index_list, strength: Schedule.of(model.alphas_cumprod, t_index_list, strength),
        seeds_to_noise,
        pictures=config.pictures,
    )
    batch = StreamBatch(
        engine.predict,
        steps=steps,
        frame_buffer_size=frames,
        prediction_type=model.prediction_type,
        prompt_switch=config.prompt_switch,
        add_noise=config.add_noise,
    )
    consistency = TemporalConsistency(state.steadiness)
    dream = Dream(*shape, drift_s=config.drift_s, device=device)

    def latents_of(prepared: Prepared, admission: Admission) -> Tensor:
        if config.pictures:
            return consistency.steadied(prepared.pixels, engine.encode(prepared.pixels))
        return torch.cat([dream.at(tag.t_capture / 1e9, admissions.seed) for tag in prepared.tags])

    similarity = SimilarityFilter()
    runner = Runner(
        config, camera, styled, engine, latents_of, batch, admissions, similarity,
        on_invalid=lambda n: say("warning", f"{n} frames with NaN or infinite values were dropped"),
    )  # fmt: skip
    precise = str(dtype).removeprefix("torch.")
    detail = (
        f"{model.name} on {device_name(device)}, {precise}, {config.canvas}, {steps} step{'s' * (steps > 1)}"
    )
    info = {
        "kind": "eager",
        "device": device_name(device),
        "dtype": precise,
        "model": model.name,
        "size": str(config.canvas),
        "steps": steps,
        "frame_buffer_size": frames,
        "torch": torch.__version__,
        "threads": torch.get_num_threads() if device.type == "cpu" else 0,
        "detail": detail,
    }
    made = Build(runner, admissions, similarity, consistency, model, config.pictures, steps, info)
    made.apply(state)
    progress("warming up", None)
    grey = np.full((frames, config.canvas.height, config.canvas.width, 3), 127, np.uint8)
    runner.rehearse(Prepared(grey, tuple(Tag(0, 0, None, 0) for _ in range(frames))), calls=steps + 1)
    consistency.reset()
    return made


def device_for(wanted: str) -> torch.device:
    """auto: the first CUDA (or ROCm) card, else Apple's GPU, else Intel's, else the CPU.

    Raises EngineError where a device is asked for by name that PyTorch cannot see.
    """
    if wanted == "auto":
        return torch.device(next((name for name, there in _present().items() if there), "cpu"))
    device = torch.device(wanted)
    if not _present().get(device.type, True):
        raise EngineError(
            f"engine.device is {wanted}, but this PyTorch ({torch.__version__}) sees no such device",
            "use engine.device: auto, or install a PyTorch built for it",
        )
    if device.type == "cuda" and device.index is not None and device.index >= torch.cuda.device_count():
        raise EngineError(
            f"engine.device is {wanted}, but there are {torch.cuda.device_count()} cards", "use cuda:0"
        )
    return device


def _present() -> dict[str, bool]:
    """Kinds of devices that this PyTorch sees, best first."""
    return {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "xpu": torch.xpu.is_available(),
    }


def dtype_for(wanted: str, device: torch.device) -> torch.dtype:
    """auto: measured (see `pipeline.engine.precision`)."""
    named = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
    return named[wanted] if wanted in named else precision.choose(device)


def device_name(device: torch.device) -> str:
    """For people: the card's name, or "cpu"."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def cores() -> int:
    """Cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def denoiser_threads(available: int) -> int:
    """Threads of one UNet operation on a CPU of so many cores.

    One core is left to decoding, camera and sinks, beyond four a second one; on two cores the UNet has one to
    itself (see `pipeline.runner`).
    """
    return max(1, available - 1 if available <= 4 else available - 2)
