"""The painting carried along the camera's motion: less shimmer on a sitter who sways, and no trail behind him."""

from __future__ import annotations

import random

import cv2
import numpy as np
import pytest

from pipeline.carried_paint import CarriedPaint

HEIGHT, WIDTH = 96, 160
STATE = object()


@pytest.fixture
def rng() -> np.random.Generator:
    seed = random.randrange(2**32)
    print("seed", seed)
    return np.random.default_rng(seed)


def scene(rng: np.random.Generator) -> np.ndarray:
    """A random picture with detail at several sizes, as float."""
    picture = np.full((HEIGHT, WIDTH, 3), 110, np.float32)
    for cells, strength in ((6, 60), (16, 25), (40, 12)):
        coarse = rng.uniform(-1, 1, (cells, cells * 5 // 3, 3)).astype(np.float32) * strength
        picture += cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture, 5, 250)


def moved(picture: np.ndarray, x: float) -> np.ndarray:
    by = np.float32([[1, 0, x], [0, 1, 0]])
    return cv2.warpAffine(picture, by, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)


def shot(picture: np.ndarray, rng: np.random.Generator, sigma: float = 1.5) -> np.ndarray:
    return np.clip(picture + rng.normal(0, sigma, picture.shape), 0, 255).round().astype(np.uint8)


def painted(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A made-up style that shimmers: other colours, and strokes that are elsewhere in every frame."""
    strokes = cv2.resize(rng.normal(0, 14, (HEIGHT // 4, WIDTH // 4)), (WIDTH, HEIGHT))
    return np.clip(255 - picture + strokes[..., None], 0, 255).round().astype(np.uint8)


@pytest.mark.parametrize("sway", [0.0, 0.6])
def test_shimmer_is_lower_where_the_camera_stands_or_sways(rng, sway):
    """Error against the true painting, which never shimmers: nearer to it, not merely smoother."""
    picture, carried = scene(rng), CarriedPaint(0.8)
    plain, steady = [], []
    for i in range(24):
        now = moved(picture, 3 * np.sin(sway * i / 3))  # at most 0.6 pixels a frame
        truth, off = 255 - now, painted(now, rng)
        on = carried.steadied(shot(now, rng), off, STATE)
        if i > 6:
            inside = (slice(8, -8), slice(8, -8))
            plain.append(np.abs(off - truth)[inside].mean())
            steady.append(np.abs(on - truth)[inside].mean())
    assert np.mean(steady) < 0.75 * np.mean(plain)


def test_a_moved_object_leaves_no_trail(rng):
    background, carried, size = scene(rng), CarriedPaint(1.0), 24
    trails = []
    for i in range(40):
        x = 8 + 3 * max(0, i - 10)
        picture = background.copy()
        picture[36 : 36 + size, x : x + size] = 240
        off = np.clip(255 - picture, 0, 255).astype(np.uint8)  # no shimmer: what differs is a trail
        on = carried.steadied(shot(picture, rng), off, STATE)
        if i > 11:
            uncovered = (slice(36, 36 + size), slice(x - 3, x))
            object_shown = np.abs(255.0 - background - 15)[uncovered].mean()
            trails.append(np.abs(on.astype(float) - off)[uncovered].mean() / object_shown)
    assert np.mean(trails) < 0.01


def test_a_cut_passes_at_once(rng):
    before, after, carried = scene(rng), scene(rng), CarriedPaint(1.0)
    for _ in range(5):
        carried.steadied(shot(before, rng), painted(before, rng), STATE)
    off = painted(after, rng)
    on = carried.steadied(shot(after, rng), off, STATE)
    assert (on == off).all(-1).mean() > 0.9


def test_another_style_or_size_starts_afresh(rng):
    picture, carried = scene(rng), CarriedPaint(1.0)
    for state in (STATE, object(), object()):
        off = painted(picture, rng)
        assert (carried.steadied(shot(picture, rng), off, state) == off).all()
    small = np.ascontiguousarray(shot(picture, rng)[:64, :96])
    assert (carried.steadied(small, small, state) == small).all()


def test_off_is_the_identity_and_forgets(rng):
    picture, carried = scene(rng), CarriedPaint(0.8)
    carried.steadied(shot(picture, rng), painted(picture, rng), STATE)
    carried.amount = 0.0
    off = painted(picture, rng)
    assert carried.steadied(shot(picture, rng), off, STATE) is off
    carried.amount = 0.8
    off = painted(picture, rng)
    assert (carried.steadied(shot(picture, rng), off, STATE) == off).all()


@pytest.mark.parametrize("size", [(32, 32), (32, 64), (64, 64), (512, 288)])
def test_any_canvas_works_and_nothing_given_is_written_to(rng, size):
    carried = CarriedPaint(0.8)
    for _ in range(3):
        camera, painting = rng.integers(0, 255, (2, size[1], size[0], 3), np.uint8)
        kept = camera.copy(), painting.copy()
        out = carried.steadied(camera, painting, STATE)
        assert out.shape == painting.shape
        assert out.dtype == np.uint8
        assert (camera == kept[0]).all()
        assert (painting == kept[1]).all()
    black = np.zeros((size[1], size[0], 3), np.uint8)
    for _ in range(2):
        assert (carried.steadied(black, black, STATE) == 0).all()
