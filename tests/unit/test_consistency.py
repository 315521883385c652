"""Temporal consistency: a still scene stays still, and nothing is left behind where something moved."""

from __future__ import annotations

import random

import cv2
import numpy as np
import pytest
import torch

from pipeline.consistency import TemporalConsistency
from pipeline.models.load import load_model

HEIGHT, WIDTH = 96, 160


@pytest.fixture
def rng() -> np.random.Generator:
    seed = random.randrange(2**32)
    print("seed", seed)
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def vae():
    return load_model("builtin").vae


def scene(rng: np.random.Generator, level: float = 110) -> np.ndarray:
    coarse = rng.uniform(0.4, 1.6, (6, 9, 3)).astype(np.float32)
    return np.clip(cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC) * level, 5, 250)


def shot(picture: np.ndarray, rng: np.random.Generator, sigma: float = 2) -> np.ndarray:
    return np.clip(picture + rng.normal(0, sigma, picture.shape), 0, 255).round().astype(np.uint8)[None]


@torch.no_grad()
def encode(vae, pixels: np.ndarray) -> torch.Tensor:
    return vae.encode(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1).float()


@pytest.mark.parametrize("level", [25, 110])
@pytest.mark.parametrize("sigma", [1, 2, 4])
def test_a_still_noisy_scene_gives_still_latents(rng, vae, level, sigma):
    picture = scene(rng, level)
    consistency = TemporalConsistency(0.8)
    plain, steady = [], []
    for _ in range(60):
        pixels = shot(picture, rng, sigma)
        plain.append(encode(vae, pixels))
        steady.append(consistency.steadied(pixels, plain[-1]))

    def flicker(latents):
        kept = torch.cat(latents[40:])
        return float((kept[1:] - kept[:-1]).abs().mean())

    assert flicker(steady) < 0.4 * flicker(plain)
    truth = encode(vae, np.clip(picture, 0, 255).round().astype(np.uint8)[None])
    error = [float((torch.cat(x[40:]) - truth).abs().mean()) for x in (plain, steady)]
    assert error[1] < error[0]  # steadier is nearer to the noiseless picture, not merely smoother


def test_a_moved_object_leaves_no_trail(rng, vae):
    """At pixels it has just uncovered, the painting is as true as without the option."""
    background = scene(rng)
    consistency = TemporalConsistency(1.0)
    size = 24
    trail_with, trail_without = [], []
    y = 32
    for i in range(60):
        x = 8 + (2 * max(0, i - 30)) % 100  # still for 30 frames: the memory is full; then it moves
        picture = background.copy()
        picture[y : y + size, x : x + size] = 230 if background.mean() < 128 else 20
        pixels = shot(picture, rng)
        z = encode(vae, pixels)
        steady = consistency.steadied(pixels, z)
        if i > 31:
            truth = encode(vae, np.clip(picture, 0, 255).round().astype(np.uint8)[None])
            columns = slice(max(0, x // 8 - 3), x // 8)  # the cells behind it
            uncovered = (..., slice(y // 8, (y + size) // 8), columns)
            trail_with.append(float((steady - truth)[uncovered].abs().mean()))
            trail_without.append(float((z - truth)[uncovered].abs().mean()))
    assert np.mean(trail_with) <= 1.02 * np.mean(trail_without)


def test_a_cut_passes_at_once(rng, vae):
    before, after = scene(rng), scene(rng)
    consistency = TemporalConsistency(1.0)
    for _ in range(20):
        pixels = shot(before, rng)
        consistency.steadied(pixels, encode(vae, pixels))
    pixels = shot(after, rng)
    z = encode(vae, pixels)
    changed = (
        np.abs(cv2.resize(after - before, (WIDTH // 8, HEIGHT // 8), interpolation=cv2.INTER_AREA)).max(-1)
        > 12
    )
    kept = (consistency.steadied(pixels, z) - z).abs().amax(1)[0].numpy()
    assert changed.mean() > 0.5
    assert kept[changed].max() == 0


def test_a_slow_dimming_is_followed(rng, vae):
    """Light that fades by 30 % in 3 seconds lags by less than two grey levels."""
    picture = scene(rng)
    consistency = TemporalConsistency(1.0)
    for i in range(90):
        pixels = shot(picture * (1 - 0.3 * i / 89), rng)
        consistency.steadied(pixels, encode(vae, pixels))
    lag = consistency._memory.picture.mean() - pixels.mean()
    assert abs(lag) < 2


def test_off_is_the_identity_and_forgets(rng, vae):
    consistency = TemporalConsistency(0.0)
    pixels = shot(scene(rng), rng)
    z = encode(vae, pixels)
    assert consistency.steadied(pixels, z) is z
    consistency.amount = 1.0
    assert torch.equal(consistency.steadied(pixels, z), z)  # the first frame has nothing to lean on
    again = shot(scene(rng), rng)
    consistency.reset()
    assert torch.equal(consistency.steadied(again, encode(vae, again)), encode(vae, again))


def test_another_size_starts_afresh(rng, vae):
    consistency = TemporalConsistency(1.0)
    pixels = shot(scene(rng), rng)
    consistency.steadied(pixels, encode(vae, pixels))
    smaller = np.ascontiguousarray(pixels[:, :64, :64])
    z = encode(vae, smaller)
    assert torch.equal(consistency.steadied(smaller, z), z)


def test_a_buffer_is_its_frames_one_after_the_other(rng, vae):
    picture = scene(rng)
    pixels = np.concatenate([shot(picture, rng) for _ in range(6)])
    z = encode(vae, pixels)
    one, buffered = TemporalConsistency(0.8), TemporalConsistency(0.8)
    singly = torch.cat([one.steadied(pixels[i : i + 1], z[i : i + 1]) for i in range(6)])
    assert torch.equal(
        torch.cat([buffered.steadied(pixels[i : i + 3], z[i : i + 3]) for i in (0, 3)]), singly
    )
    assert not torch.equal(singly, z)


def test_the_input_is_not_written_to(rng, vae):
    consistency = TemporalConsistency(1.0)
    for _ in range(3):
        pixels = shot(scene(rng), rng)
        z = encode(vae, pixels)
        kept = pixels.copy(), z.clone()
        consistency.steadied(pixels, z)
        assert np.array_equal(pixels, kept[0])
        assert torch.equal(z, kept[1])
