"""What is made for one number of steps and one canvas, and replaced whole when either changes; the model stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.admission import Admission
from pipeline.configs import EngineConfig
from pipeline.consistency import TemporalConsistency
from pipeline.dream import Dream
from pipeline.engine.engine import Engine
from pipeline.noise import blend_noise, noise_for
from pipeline.prepared import Prepared
from pipeline.stream_batch import StreamBatch
from pipeline.stream_shape import StreamShape

Seeds = Sequence[tuple[int, float]]
"""(seed, weight) of each style of a blend."""


@dataclass(frozen=True, eq=False, slots=True)
class Stream:
    """batch: its first T − 1 calls emit nothing. latents_of: what goes in. noise_of: N_k [T, C, h, w] of seeds."""

    shape: StreamShape
    batch: StreamBatch
    latents_of: Callable[[Prepared, Admission], Tensor]
    noise_of: Callable[[Seeds], Tensor]


def make_stream(
    shape: StreamShape,
    engine: Engine,
    config: EngineConfig,
    consistency: TemporalConsistency,
    dream_seed: Callable[[], int],
) -> Stream:
    """dream_seed: of text-to-image, at the moment of a frame."""
    model, device = engine.model, engine.device
    sides = shape.canvas.height // model.vae_scale, shape.canvas.width // model.vae_scale
    latent_shape = (model.latent_channels, *sides)
    dream = Dream(*latent_shape, drift_s=config.drift_s, device=device)

    def latents_of(prepared: Prepared, admission: Admission) -> Tensor:
        if config.pictures:
            pixels = prepared.on(shape.canvas)
            return consistency.steadied(pixels, engine.encode(pixels))
        return torch.cat([dream.at(tag.t_capture / 1e9, dream_seed()) for tag in prepared.tags])

    def noise_of(seeds: Seeds) -> Tensor:
        return blend_noise(
            [(noise_for(seed, shape.steps, *latent_shape, device=device), weight) for seed, weight in seeds]
        )

    batch = StreamBatch(
        engine.predict,
        steps=shape.steps,
        frame_buffer_size=shape.frames,
        prediction_type=model.prediction_type,
        prompt_switch=config.prompt_switch,
        add_noise=config.add_noise,
    )
    return Stream(shape, batch, latents_of, noise_of)
