"""A short training of the shipped weights' UNet at the steps that a live picture is painted at; a CPU is enough.

    python -m pipeline.models.training.refine --photos FOLDER --out DIR [--minutes 55] [--keep 0.6]

The first training spreads over all noise levels and shows each picture to pixel losses that any smooth picture does
well at. Here three rows of four are photographs at timesteps 60 to 150 (t_index 42 to 46), the styles that were taken
for another are drawn more often, and a loss asks for what tells a style from the mean of all styles, in every band of
a pyramid alike. Autoencoder and text encoder stay as they are.

What is saved is (1 − keep) of the weights before and `keep` of the average afterwards: the whole of it paints oil and
watercolour as soft as their teachers, and eyes with them.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as functional
from safetensors.torch import load_file
from torch import Tensor

from pipeline.errors import PhospheneError
from pipeline.models.load import BUILTIN
from pipeline.models.training.captions import caption_tokens
from pipeline.models.training.critic import Averaged
from pipeline.models.training.data import Targets
from pipeline.models.training.losses import absolute, coarse, gradient
from pipeline.models.training.networks import Networks, build_networks, save
from pipeline.models.training.pace import Pace, Say
from pipeline.models.training.palettes import PALETTES
from pipeline.models.training.photographs import photographs_in, teach
from pipeline.models.training.styles import PHOTO, STYLES

OFTEN = {
    "strokes": 3.0, "anime": 2.0, "comic": 2.0, "storybook": 2.0, "charcoal": 2.0, "halftone": 2.0, "oil": 1.6,
    "noir": 1.4,
}  # fmt: skip
"""How often a style is drawn; 1 where it is not named."""
LIVE = (60, 150)
"""Timesteps of a live picture at the strengths of the style bank."""
BANDS = 5
DISTINCTION = 0.3
"""Weight of the loss that asks for the style's own direction from the mean of all styles."""


@dataclass(frozen=True, slots=True)
class RefineOptions:
    """minutes: of training, without the teaching before it; steps in their place. keep: share of the new weights."""

    photos: Path
    out: Path
    minutes: float = 55.0
    keep: float = 0.6
    crops: int = 620
    batch_size: int = 12
    side: int = 256
    rate: float = 1.2e-4
    captions: int = 24
    seed: int = 1
    processes: int = 1
    steps: int | None = None


def refine(options: RefineOptions, say: Say = print) -> Path:
    """Trains, mixes and saves a whole model; returns its folder. Raises ModelError for what cannot be used."""
    random.seed(options.seed)
    torch.manual_seed(options.seed)
    device = torch.device("cpu")
    networks, scale = shipped(device)
    files = photographs_in(options.photos)
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.out) as scratch:
        pictures = teach(
            files, Path(scratch) / "targets.npy",
            count=options.crops, side=options.side, seed=options.seed, processes=options.processes,
        )  # fmt: skip
        targets = Targets(pictures, device)
        del pictures  # before the file goes: a mapped file cannot be deleted on Windows
    before = {key: value.clone() for key, value in networks.unet.state_dict().items()}
    average = Averaged({"unet": networks.unet})
    optimiser = torch.optim.AdamW(networks.unet.parameters(), options.rate, weight_decay=0, betas=(0.9, 0.98))
    batches = _Batches(networks, targets, scale, options)
    networks.unet.train()
    for step, share in Pace(options.minutes * 60, options.steps):
        loss = batches.loss()
        rate = options.rate * min(1.0, (step + 1) / 30) * min(1.0, max(0.05, 2 * (1 - share)))
        optimiser.param_groups[0]["lr"] = rate
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(networks.unet.parameters(), 1.0)
        optimiser.step()
        average.update(step + 1)
        if step % 20 == 0:
            say(f"refine: step {step}, loss {loss.item():.4f}, rate {rate:.1e}")
    average.apply()
    with torch.no_grad():
        for key, value in networks.unet.state_dict().items():
            value.copy_(torch.lerp(before[key], value, options.keep))
    save(networks, options.out, scale)
    say(f"saved {options.out}")
    return options.out


def shipped(device: torch.device) -> tuple[Networks, float]:
    """The built-in model's networks with its weights, float32, and its latents' scaling factor."""
    networks = build_networks(device)
    for part, module, file in (
        ("vae", networks.vae, "diffusion_pytorch_model"),
        ("unet", networks.unet, "diffusion_pytorch_model"),
        ("text_encoder", networks.text_encoder, "model"),
    ):
        weights = load_file(BUILTIN / part / f"{file}.safetensors")
        module.load_state_dict({key: value.float() for key, value in weights.items()}, strict=True)
    for module in (networks.vae, networks.text_encoder):
        module.eval().requires_grad_(False)
    return networks, float(type(networks.vae).load_config(BUILTIN / "vae")["scaling_factor"])


class _Batches:
    """Draws rows and gives their loss."""

    def __init__(self, networks: Networks, targets: Targets, scale: float, options: RefineOptions) -> None:
        self._networks, self._targets, self._scale = networks, targets, scale
        self._count = options.batch_size
        self._latents = targets.latents(networks, scale)
        self._tokens = caption_tokens(networks.tokenizer, options.captions, random.Random(options.seed))
        self._often = torch.tensor([OFTEN.get(name, 1.0) for name in STYLES])

    def loss(self) -> Tensor:
        networks, count = self._networks, self._count
        crops = torch.randint(0, len(self._targets), (count,))
        styles = torch.multinomial(self._often, count, replacement=True)

        # 1. what is asked for; the first rows in a palette
        toned = max(1, count // 8)
        palette = random.randrange(len(PALETTES))
        targets = self._targets.pictures(crops, styles)
        targets = torch.cat([list(PALETTES.values())[palette](targets[:toned]), targets[toned:]])
        clean = self._latents[crops, styles].float()
        of_palette = torch.zeros_like(styles)
        of_palette[:toned] = palette + 1
        which = torch.randint(0, self._tokens.shape[2], (count,))
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            clean[:toned] = networks.latents(targets[:toned]).float() * self._scale
            embeds = networks.embeds(self._tokens[styles, of_palette, which])

        # 2. what it is asked from: mostly photographs at live timesteps, some as the first training had them
        live = torch.rand(count) < 0.75
        grid = torch.randint(0, 50, (count,)) * 20 + 19
        timesteps = torch.where(live, torch.randint(*LIVE, (count,)), grid)
        power = networks.alphas_cumprod[timesteps].view(-1, 1, 1, 1)
        a, b = power.sqrt(), (1 - power).sqrt()
        photographs = torch.where(live, 0.9, 0.5).view(-1, 1, 1, 1)
        kind, between = torch.rand(count, 1, 1, 1), torch.rand(count, 1, 1, 1)
        whole = kind < photographs + (1 - photographs) * 0.4
        share = torch.where(kind < photographs, 0.0, torch.where(whole, 1.0, between))
        photograph = self._latents[crops, PHOTO].float()
        x = a * (photograph * (1 - share) + clean * share) + b * torch.randn_like(clean)

        # 3. x̂_0 = a x − b v, its picture, and how both differ from the target's
        with torch.autocast("cpu", dtype=torch.bfloat16):
            velocity = networks.unet(
                x.to(memory_format=torch.channels_last), timesteps, encoder_hidden_states=embeds
            ).sample
            predicted: Tensor = a * x - b * velocity.float()
            pictures = networks.pictures(predicted / self._scale)
        of_latents = functional.smooth_l1_loss(predicted, clean, beta=0.1) + 0.25 * absolute(predicted, clean)
        of_pictures = absolute(pictures, targets) + 0.6 * gradient(pictures, targets)
        of_pictures = of_pictures + 0.3 * coarse(pictures, targets, (2, 4))
        mean = torch.stack([self._mean_of_styles(int(crop)) for crop in crops[toned:]])
        return of_latents + of_pictures + DISTINCTION * distinction(pictures[toned:], targets[toned:], mean)

    def _mean_of_styles(self, crop: int) -> Tensor:
        styles = torch.arange(len(STYLES))
        return self._targets.pictures(torch.full_like(styles, crop), styles).mean(0)


def distinction(pictures: Tensor, targets: Tensor, mean: Tensor) -> Tensor:
    """1 − cosine between how pictures and targets [N, 3, H, W] differ from `mean`, averaged over pyramid bands."""
    total = pictures.new_zeros(())
    for got, wanted in zip(_bands(pictures - mean), _bands(targets - mean), strict=True):
        cosine = functional.cosine_similarity(got.flatten(1), wanted.flatten(1), dim=1, eps=1e-4)
        total = total + (1 - cosine).mean() / (BANDS + 1)
    return total


def _bands(pictures: Tensor) -> list[Tensor]:
    rest, found = pictures, []
    for _ in range(BANDS):
        blurred = functional.avg_pool2d(functional.pad(rest, (1, 1, 1, 1), mode="reflect"), 3, 1)
        smaller = blurred[..., ::2, ::2]
        found.append(rest - functional.interpolate(smaller, size=rest.shape[-2:], mode="bilinear"))
        rest = smaller
    return [*found, rest]


def main() -> int:
    defaults = RefineOptions(Path(), Path())
    parser = argparse.ArgumentParser(prog="python -m pipeline.models.training.refine", description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, help="folder of photographs, searched through")
    parser.add_argument("--out", type=Path, required=True, help="folder for the model (diffusers layout)")
    for name in ("minutes", "keep", "crops", "batch_size", "rate", "seed", "processes"):
        value = getattr(defaults, name)
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=type(value), default=value, help="[%(default)s]"
        )
    try:
        refine(RefineOptions(**vars(parser.parse_args())))
    except PhospheneError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
