"""Stage 1: a tiny autoencoder that keeps photographs and every style's strokes."""

from __future__ import annotations

import random

import torch
import torch.nn.functional as functional
from torch import Tensor

from pipeline.models.training.data import Targets
from pipeline.models.training.losses import absolute, coarse, gradient
from pipeline.models.training.networks import Networks
from pipeline.models.training.pace import Pace, Say
from pipeline.models.training.palettes import PALETTES

LEARNING_RATE = 1.2e-3
RANGE = 2.5
"""Raw latents beyond this are pulled back, so that noise of deviation 1 is comparable after scaling."""


def train_autoencoder(
    networks: Networks, targets: Targets, pace: Pace, *, batch_size: int, say: Say
) -> float:
    """Trains `networks.vae` in place; returns the scaling factor that gives its latents deviation 1."""
    vae, device = networks.vae, networks.device
    vae.train()
    optimiser = torch.optim.AdamW(vae.parameters(), LEARNING_RATE, weight_decay=0, betas=(0.9, 0.99))
    loss = torch.zeros(())
    for step, share in pace:
        rate = LEARNING_RATE * min(1.0, (step + 1) / 200)
        if share >= 0.6:
            rate *= max(0.03, (1 - share) / 0.4)
        optimiser.param_groups[0]["lr"] = rate

        pictures = targets.any_pictures(batch_size, photographs=0.25)
        if random.random() < 0.35:
            pictures = random.choice(list(PALETTES.values()))(pictures)
        pictures = pictures.to(memory_format=torch.channels_last)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            z = networks.latents(pictures)
            rebuilt = networks.pictures(z + torch.randn_like(z) * 0.02)
        loss = _loss(rebuilt * 2 - 1, pictures * 2 - 1, z.float())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimiser.step()
        if step % 500 == 0:
            say(f"autoencoder: step {step}, loss {loss.item():.4f}, rate {rate:.1e}")
    vae.eval()
    with torch.no_grad():
        deviation = networks.latents(targets.any_pictures(min(256, 4 * len(targets)))).std()
    return float(1 / deviation)


def _loss(rebuilt: Tensor, pictures: Tensor, z: Tensor) -> Tensor:
    levels = absolute(rebuilt, pictures) + 0.6 * gradient(rebuilt, pictures)
    return levels + 0.3 * coarse(rebuilt, pictures, (2, 4, 8)) + 0.1 * functional.relu(z.abs() - RANGE).mean()
