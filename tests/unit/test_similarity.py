"""The similarity filter: what is skipped, what never is, and that nothing waits behind a skip."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from pipeline.messages import LiveState
from pipeline.similarity import CosineSimilarity, SimilarityFilter, SimilarityOptions, skip_probability
from pipeline.tile_similarity import TileSimilarity

HEIGHT, WIDTH = 192, 320
NOISE = np.random.default_rng().standard_normal(9 * HEIGHT * WIDTH * 3, np.float32)


@pytest.fixture
def rng() -> np.random.Generator:
    """Fresh pictures every run; the seed is in the report of a failed one."""
    seed = random.randrange(2**32)
    print("seed", seed)
    return np.random.default_rng(seed)


def scene(rng: np.random.Generator, level: float) -> np.ndarray:
    """A smooth random picture about `level` grey levels bright, as float."""
    import cv2

    coarse = rng.uniform(0.3, 1.7, (6, 8, 3)).astype(np.float32)
    return np.clip(cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC) * level, 2, 250)


def shot(picture: np.ndarray, rng: np.random.Generator, sigma: float) -> np.ndarray:
    """A camera's picture of the scene, with a sensor noise of `sigma` grey levels."""
    if sigma:
        start = int(rng.integers(NOISE.size - picture.size))  # drawing as many normals afresh takes 5 ms
        picture = picture + np.float32(sigma) * NOISE[start : start + picture.size].reshape(picture.shape)
    return np.clip(picture, 0, 255).round().astype(np.uint8)


def decide(filter_: SimilarityFilter, image, steps=1, state_changed=False, morphing=False):
    return filter_.decide(image, state_changed=state_changed, morphing=morphing, in_flight_calls=steps)


@pytest.mark.parametrize("level", [18, 120])
@pytest.mark.parametrize("sigma", [0, 1, 2, 3])
@pytest.mark.parametrize("steps", [1, 4])
def test_a_static_noisy_scene_is_skipped(rng, level, sigma, steps):
    picture = scene(rng, level)
    options = SimilarityOptions(threshold=0.98, max_skip_frames=10)
    filter_ = SimilarityFilter(options, seed=1)
    processed = [decide(filter_, shot(picture, rng, sigma), steps).process for _ in range(132)]
    saved = 1 - np.mean(processed)
    assert saved >= 0.9 * (1 - steps / (options.max_skip_frames + 1))


def mouth(picture: np.ndarray) -> np.ndarray:
    """Lips of 30×6 pixels move down by 5: a face a third of the picture wide, speaking."""
    y, x = 110, 150
    moved = picture.copy()
    moved[y + 5 : y + 11, x : x + 30] = picture[y : y + 6, x : x + 30]
    return moved


def with_lips(picture: np.ndarray) -> np.ndarray:
    painted = picture.copy()
    painted[110:116, 150:180] *= 0.5
    return painted


def dimmed(picture: np.ndarray) -> np.ndarray:
    return picture * 0.95


def patch(picture: np.ndarray) -> np.ndarray:
    """1/64 of the area, off the grid of tiles, a fifth brighter."""
    changed = picture.copy()
    changed[58 : 58 + HEIGHT // 8, 133 : 133 + WIDTH // 8] *= 1.2
    return changed


@pytest.mark.parametrize("change", [mouth, dimmed, patch])
@pytest.mark.parametrize("level", [40, 120])
@pytest.mark.parametrize("sigma", [0, 1, 2, 3])
def test_a_small_change_is_never_skipped(rng, change, level, sigma):
    picture = with_lips(scene(rng, level))
    filter_ = SimilarityFilter(SimilarityOptions(max_skip_frames=1000), seed=2)
    still = [decide(filter_, shot(picture, rng, sigma)).process for _ in range(60)]
    assert np.mean(still) < 0.1  # the noise is known, and the scene is being skipped
    seen = decide(filter_, shot(change(picture), rng, sigma))
    assert seen.process
    assert seen.similarity <= 0.98


def test_the_papers_metric_is_blind_to_light(rng):
    """Why it is not the default."""
    picture = with_lips(scene(rng, 120))
    cosine = SimilarityFilter(SimilarityOptions(metric="global", threshold=0.98))
    decide(cosine, shot(picture, rng, 0))
    for change in (dimmed, mouth):
        assert decide(cosine, shot(change(picture), rng, 0)).similarity > 0.995


def test_global_is_the_cosine_of_whole_frames(rng):
    a, b = (rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(2))
    metric = CosineSimilarity()
    metric.reference = metric.reference_of(metric.prepare(a))
    expected = torch.nn.functional.cosine_similarity(
        torch.from_numpy(a).double().flatten(), torch.from_numpy(b).double().flatten(), dim=0
    )
    assert metric.similarity(metric.prepare(b)) == pytest.approx(float(expected), abs=1e-5)


@pytest.mark.parametrize("metric", ["tiles", "global"])
def test_black_is_finite(metric):
    black = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    white = np.full_like(black, 255)
    filter_ = SimilarityFilter(SimilarityOptions(metric=metric))
    decide(filter_, black)
    assert decide(filter_, black).similarity == 1.0
    assert decide(filter_, white).similarity == 0.0
    assert decide(filter_, black).similarity == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("metric", ["tiles", "global"])
@pytest.mark.parametrize("most", [1, 3, 10])
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_at_most_m_in_a_row_then_the_pipeline_drains(metric, most, steps):
    """T processed, M skipped, and so on: the count restarts at each processed frame."""
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    filter_ = SimilarityFilter(SimilarityOptions(metric=metric, max_skip_frames=most))
    got = [decide(filter_, image, steps) for _ in range(3 * (steps + most))]
    assert [d.process for d in got] == ([True] * steps + [False] * most) * 3
    assert [d.reason for d in got[: steps + most + 1]] == (
        ["first"] + ["drain"] * (steps - 1) + ["similar"] * most + ["refresh"]
    )


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_a_scene_cut_leaves_before_skipping_starts(rng, steps):
    before, after = (shot(scene(rng, 100), rng, 0) for _ in range(2))
    filter_ = SimilarityFilter(SimilarityOptions(max_skip_frames=10))
    for _ in range(steps + 4):
        last = decide(filter_, before, steps)
    assert not last.process
    reasons = [decide(filter_, after, steps).reason for _ in range(steps + 1)]
    assert reasons == ["changed"] + ["drain"] * (steps - 1) + ["similar"]


def test_live_state_and_morphs_are_never_skipped():
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    filter_ = SimilarityFilter()
    for _ in range(5):
        last = decide(filter_, image)
    assert not last.process
    assert decide(filter_, image, state_changed=True).reason == "state"
    assert not decide(filter_, image).process
    assert [decide(filter_, image, morphing=True).reason for _ in range(30)] == ["morph"] * 30
    assert not decide(filter_, image).process


def test_a_withdrawn_frame_is_owed(rng):
    """A frame that the denoiser never saw is not what the next ones are compared with."""
    before, after = (shot(scene(rng, 100), rng, 0) for _ in range(2))
    filter_ = SimilarityFilter()
    for _ in range(4):
        decide(filter_, before)
    assert decide(filter_, after).reason == "changed"
    filter_.withdraw()
    back = decide(filter_, before)
    assert (back.process, back.reason, back.similarity) == (True, "changed", 1.0)
    assert not decide(filter_, before).process
    filter_.withdraw()  # nothing to take back: the last one was skipped
    assert not decide(filter_, before).process


@pytest.mark.parametrize("s", [0.0, 0.5, 0.98, 0.985, 0.99, 0.999, 1.0])
def test_skip_probability_is_the_papers(s):
    assert skip_probability(s, 0.98) == pytest.approx(max(0.0, 1 - (1 - s) / (1 - 0.98)))


def test_the_lottery_has_that_probability(rng):
    """A change of half the tolerance is skipped every other time."""
    image = rng.integers(60, 200, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    options = SimilarityOptions(metric="global", threshold=0.9, max_skip_frames=10**6)
    filter_ = SimilarityFilter(options, seed=int(rng.integers(2**32)))
    other = np.where(np.arange(WIDTH)[:, None] % 2, image, np.minimum(image * 1.0 + 70, 255)).astype(np.uint8)
    decide(filter_, image)
    s = decide(filter_, other, state_changed=True).similarity  # now `other` is the reference
    skipped = []
    for _ in range(1000):
        skipped.append(not decide(filter_, image).process)
        decide(filter_, other, state_changed=True)
    assert 0.91 < s < 0.99
    assert np.mean(skipped) == pytest.approx(skip_probability(s, 0.9), abs=0.07)


def test_equal_seeds_decide_equally(rng):
    pictures = [shot(scene(rng, 100), rng, 2) for _ in range(6)]
    order = rng.integers(0, 6, 200)

    def run(seed: int) -> list[bool]:
        filter_ = SimilarityFilter(SimilarityOptions(metric="global", threshold=0.7), seed=seed)
        return [decide(filter_, pictures[i]).process for i in order]

    assert run(5) == run(5)
    assert run(5) != run(6)


def test_off_processes_everything_and_forgets(rng):
    image = shot(scene(rng, 100), rng, 0)
    filter_ = SimilarityFilter(SimilarityOptions(enabled=False))
    assert all(decide(filter_, image).reason == "off" for _ in range(5))
    filter_.options = SimilarityOptions.of(LiveState())
    assert [decide(filter_, image).reason for _ in range(2)] == ["first", "similar"]
    filter_.options = SimilarityOptions(metric="global")
    assert [decide(filter_, image).reason for _ in range(2)] == ["first", "similar"]
    filter_.options = SimilarityOptions(max_skip_frames=0)
    assert decide(filter_, image).reason == "off"


def test_a_buffer_is_judged_by_its_least_similar_picture(rng):
    still, other = (shot(scene(rng, 100), rng, 0) for _ in range(2))
    filter_ = SimilarityFilter()
    decide(filter_, np.stack([still, still]))
    assert not decide(filter_, np.stack([still, still])).process
    assert decide(filter_, np.stack([other, still])).reason == "changed"
    assert decide(filter_, np.stack([still, other])).reason == "changed"
    assert not decide(filter_, np.stack([other, other])).process


def test_a_tensor_is_judged_like_an_array(rng):
    before, after = (shot(scene(rng, 100), rng, 2) for _ in range(2))
    of_array, of_tensor = TileSimilarity(), TileSimilarity()
    of_array.reference = of_array.reference_of(of_array.prepare(before))
    of_tensor.reference = of_tensor.reference_of(of_tensor.prepare(torch.from_numpy(before)))
    expected = of_array.similarity(of_array.prepare(after))
    assert of_tensor.similarity(of_tensor.prepare(torch.from_numpy(after))) == expected


def test_motion_that_never_stops_is_not_taken_for_noise(rng):
    """Five seconds of a waving hand do not teach the filter to overlook a mouth."""
    picture = with_lips(scene(rng, 100))
    filter_ = SimilarityFilter()
    for i in range(150):
        decide(filter_, np.roll(shot(picture, rng, 1), 7 * i, axis=1))
    decide(filter_, shot(picture, rng, 1))
    assert decide(filter_, shot(mouth(picture), rng, 1)).process
