"""The whole training, from a folder of photographs to a diffusers folder."""

from __future__ import annotations

import os
import random
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline.errors import ModelError
from pipeline.models.training.autoencoder import train_autoencoder
from pipeline.models.training.data import Targets
from pipeline.models.training.denoiser import DenoiserTraining
from pipeline.models.training.networks import build_networks, save
from pipeline.models.training.pace import Pace, Say
from pipeline.models.training.photographs import photographs_in, teach

AUTOENCODER, DENOISER, FINISH = 0.2, 0.6, 0.2
"""Shares of the training time."""


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """photos: a folder. out: where the model goes. minutes: of training, without the teaching before it.

    crops: squares cut from the photographs; each costs 3.7 MB on the device at 256², and 0.6 MB for latents.
    side: pixels, a multiple of 32. steps: of each stage, in place of the minutes. processes: of the teachers.
    """

    photos: Path
    out: Path
    minutes: float = 25.0
    crops: int = 3600
    batch_size: int = 256
    side: int = 256
    captions: int = 512
    seed: int = 1
    device: str = "auto"
    processes: int = 0
    steps: tuple[int, int, int] | None = None


def train(options: TrainingOptions, say: Say = print) -> Path:
    """Trains the three stages and saves the averaged weights; returns the model's folder.

    Raises ModelError where the photographs or the options cannot be used.
    """
    if options.side % 32 or options.batch_size < 8:
        raise ModelError(
            f"side is {options.side} and batch size {options.batch_size}",
            "use a side that 32 divides and a batch of at least 8",
        )
    began = time.monotonic()

    def log(text: str) -> None:
        say(f"[{time.monotonic() - began:7.1f} s] {text}")

    random.seed(options.seed)
    torch.manual_seed(options.seed)
    chosen = options.device
    if chosen == "auto":
        chosen = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(chosen)
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True

    files = photographs_in(options.photos)
    log(f"{len(files)} photographs; painting {options.crops} crops in every style")
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.out) as scratch:
        pictures = teach(
            files,
            Path(scratch) / "targets.npy",
            count=options.crops,
            side=options.side,
            seed=options.seed,
            processes=options.processes or os.cpu_count() or 1,
        )
        targets = Targets(pictures, device)
        del pictures  # before the file goes: a mapped file cannot be deleted on Windows

    networks = build_networks(device)
    seconds = options.minutes * 60
    steps = options.steps or (None, None, None)
    pace = [Pace(seconds * share, n) for share, n in zip((AUTOENCODER, DENOISER, FINISH), steps, strict=True)]
    scale = train_autoencoder(
        networks, targets, pace[0], batch_size=max(8, options.batch_size * 3 // 8), say=log
    )
    log(f"the latents' scaling factor is {scale:.4f}")
    training = DenoiserTraining(
        networks, targets, scale, batch_size=options.batch_size, captions=options.captions, say=log
    )
    training.learn(pace[1])
    training.finish(pace[2])
    training.average.apply()
    save(networks, options.out, scale)
    log(f"saved {options.out}")
    return options.out
