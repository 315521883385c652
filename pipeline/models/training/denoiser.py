"""Stages 2 and 3: the text-conditioned denoiser, and with a critic its finish.

The task is not to remove noise but to repaint: from the noised latents of a *photograph* at any step of the
LCM grid, predict the clean latents of the *target*. 55 % of the inputs are photographs, 20 % targets and the
rest in between, as the later steps of a stream see them, so that one step is enough and several work.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor

from pipeline.models.training.captions import caption_tokens
from pipeline.models.training.critic import Averaged, Critic, hinge
from pipeline.models.training.data import Targets
from pipeline.models.training.losses import absolute, coarse, gradient
from pipeline.models.training.networks import Networks
from pipeline.models.training.pace import Pace, Say
from pipeline.models.training.palettes import PALETTES
from pipeline.models.training.styles import PHOTO

LEARNING_RATE = 5e-4
FINISH_LEARNING_RATE = 1.5e-4
DECODER_SHARE = 0.7
"""The VAE's decoder learns along, at this share of the rate; its encoder stays as it is."""
GRID = 50
CLEANER = 33
"""70 % of the steps come from the cleaner 33 of the 50: the ones a live picture is painted at."""
CRITIC_WEIGHT = 0.04


@dataclass(frozen=True, eq=False, slots=True)
class Batch:
    """Rows [N] of one step. The first `palettes` of them are in a palette; `shown` are compared as pictures.

    x: noised latents at timesteps [N], x = a x_0 + b ε. clean: the targets' latents. tokens: captions [N, L].
    targets, photographs: pictures [shown, 3, H, W] in 0–1.
    """

    x: Tensor
    timesteps: Tensor
    a: Tensor
    b: Tensor
    clean: Tensor
    tokens: Tensor
    styles: Tensor
    targets: Tensor
    photographs: Tensor
    palettes: int
    shown: int


class DenoiserTraining:
    """Trains the UNet, the text encoder and the VAE's decoder of `networks` in place."""

    def __init__(
        self, networks: Networks, targets: Targets, scale: float, *, batch_size: int, captions: int, say: Say
    ) -> None:
        """batch_size: at least 8. captions: how many are drawn for each style and palette."""
        self._networks = networks
        self._targets = targets
        self._scale = scale
        self._batch_size = batch_size
        self._say = say
        networks.vae.encoder.requires_grad_(False)
        networks.unet.train()
        networks.text_encoder.train()
        self._painter = [*networks.unet.parameters(), *networks.text_encoder.parameters()]
        self._decoder = list(networks.vae.decoder.parameters())
        groups = [{"params": self._painter}, {"params": self._decoder}]
        self._optimiser = torch.optim.AdamW(groups, LEARNING_RATE, weight_decay=0.01, betas=(0.9, 0.99))
        parts = {"unet": networks.unet, "text": networks.text_encoder, "decoder": networks.vae.decoder}
        self.average = Averaged(parts)
        self._latents = targets.latents(networks, scale)
        self._tokens = caption_tokens(networks.tokenizer, captions, random.Random(random.random()))
        self._tokens = self._tokens.to(networks.device)
        last = networks.scheduler.config.num_train_timesteps
        self._grid = torch.arange(last // GRID - 1, last, last // GRID, device=networks.device)
        self._step = 0

    def learn(self, pace: Pace) -> None:
        """Stage 2: latents and pictures as near to the targets as can be."""
        for step, _ in pace:
            batch = self._draw()
            predicted = self._predicted(batch)
            loss = _latent_loss(predicted, batch.clean)
            if step % 2 == 0:
                loss = loss + self._picture_loss(self._shown(predicted, batch), batch)
            self._descend(loss, LEARNING_RATE * min(1.0, (step + 1) / 300))
            if step % 1000 == 0:
                self._say(f"denoiser: step {step}, loss {loss.item():.4f}")

    def finish(self, pace: Pace) -> None:
        """Stage 3: a critic asks for the targets' texture, which the mean of all answers lacks."""
        critic = Critic().to(self._networks.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        of_critic = torch.optim.AdamW(critic.parameters(), 2e-4, betas=(0.5, 0.99))
        for step, share in pace:
            batch = self._draw()
            predicted = self._predicted(batch)
            pictures = self._shown(predicted, batch)
            outputs, styles = pictures[: batch.shown], batch.styles[: batch.shown]
            weight = CRITIC_WEIGHT * min(1.0, step / 400)
            loss = _latent_loss(predicted, batch.clean) + self._picture_loss(pictures, batch)
            loss = loss - weight * critic(outputs, batch.photographs, styles).mean()
            rate = FINISH_LEARNING_RATE * min(1.0, (step + 1) / 300) * max(0.03, 1 - share)
            self._descend(loss, rate)

            of_targets = critic(batch.targets, batch.photographs, styles)
            of_outputs = critic(outputs.detach(), batch.photographs, styles)
            judged = hinge(of_targets, of_outputs)
            of_critic.zero_grad(set_to_none=True)
            judged.backward()  # type: ignore[no-untyped-call]
            of_critic.step()
            if step % 1000 == 0:
                self._say(f"finish: step {step}, loss {loss.item():.4f}, critic {judged.item():.3f}")

    @torch.no_grad()
    def _draw(self) -> Batch:
        networks, device, count = self._networks, self._networks.device, self._batch_size
        crops, styles = self._targets.draw(count, photographs=0.05)
        palettes = count // 8
        shown = 2 * palettes
        palette = random.randrange(len(PALETTES))
        in_palette = list(PALETTES.values())[palette]

        # 1. what is asked for: the style's target, for the first rows in one palette
        targets = self._targets.pictures(crops[:shown], styles[:shown])
        targets = torch.cat([in_palette(targets[:palettes]), targets[palettes:]])
        photograph = self._latents[crops, PHOTO].float()
        clean = self._latents[crops, styles].float()
        with torch.autocast(device.type, dtype=torch.bfloat16):
            clean[:palettes] = networks.latents(targets[:palettes]).float() * self._scale
        of_palette = torch.zeros_like(styles)
        of_palette[:palettes] = palette + 1
        which = torch.randint(0, self._tokens.shape[2], (count,), device=device)

        # 2. what it is asked from: noised latents of the photograph, of the target, or of a mix
        anywhere = torch.randint(0, len(self._grid), (count,), device=device)
        cleaner = torch.randint(0, CLEANER, (count,), device=device)
        timesteps = self._grid[torch.where(torch.rand(count, device=device) < 0.7, cleaner, anywhere)]
        power = networks.alphas_cumprod[timesteps].view(-1, 1, 1, 1)
        a, b = power.sqrt(), (1 - power).sqrt()
        kind = torch.rand(count, 1, 1, 1, device=device)
        share = torch.rand(count, 1, 1, 1, device=device)
        share = torch.where(kind < 0.55, 0.0, torch.where(kind < 0.75, 1.0, share))
        x = a * (photograph * (1 - share) + clean * share) + b * torch.randn_like(clean)
        return Batch(
            x=x,
            timesteps=timesteps,
            a=a,
            b=b,
            clean=clean,
            tokens=self._tokens[styles, of_palette, which],
            styles=styles,
            targets=targets.to(memory_format=torch.channels_last),
            photographs=self._targets.pictures(crops[:shown], torch.full_like(styles[:shown], PHOTO)),
            palettes=palettes,
            shown=shown,
        )

    def _predicted(self, batch: Batch) -> Tensor:
        """Clean latents from the UNet's velocity: x̂_0 = a x − b v."""
        networks = self._networks
        with torch.autocast(networks.device.type, dtype=torch.bfloat16):
            embeds = networks.embeds(batch.tokens)
            x = batch.x.to(memory_format=torch.channels_last)
            velocity = networks.unet(x, batch.timesteps, encoder_hidden_states=embeds, return_dict=False)[0]
        predicted: Tensor = batch.a * batch.x - batch.b * velocity.float()
        return predicted

    def _shown(self, predicted: Tensor, batch: Batch) -> Tensor:
        """Decoded pictures of the shown rows, and after them of the true latents of those in a palette."""
        latents = torch.cat([predicted[: batch.shown], batch.clean[: batch.palettes]]) / self._scale
        with torch.autocast(self._networks.device.type, dtype=torch.bfloat16):
            return self._networks.pictures(latents)

    @staticmethod
    def _picture_loss(pictures: Tensor, batch: Batch) -> Tensor:
        wanted = torch.cat([batch.targets, batch.targets[: batch.palettes]])
        edges = 0.6 * gradient(pictures, wanted)
        return absolute(pictures, wanted) + edges + 0.3 * coarse(pictures, wanted, (2, 4))

    def _descend(self, loss: Tensor, rate: float) -> None:
        painter, decoder = self._optimiser.param_groups
        painter["lr"], decoder["lr"] = rate, rate * DECODER_SHARE
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_([*self._painter, *self._decoder], 1.0)
        self._optimiser.step()
        self._step += 1
        self.average.update(self._step)


def _latent_loss(predicted: Tensor, clean: Tensor) -> Tensor:
    """Smooth L1 with a little L1."""
    return functional.smooth_l1_loss(predicted, clean, beta=0.1) + 0.25 * absolute(predicted, clean)
