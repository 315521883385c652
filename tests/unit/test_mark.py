"""The invisible mark: found after what a call and a page do to a picture, and never where it is not."""

from __future__ import annotations

import json

import av
import cv2
import numpy as np
import pytest

from daemon.cli.main import app
from daemon.exit_codes import ExitCode
from pipeline.frame import Size
from pipeline.mark import FOUND, Mark, score
from pipeline.sinks._i420 import I420

SIZE = Size(1280, 720)


@pytest.fixture(scope="module")
def mark() -> Mark:
    return Mark(SIZE)


def scene(random: np.random.Generator, size: Size = SIZE) -> np.ndarray:
    """Something like a picture: soft fields, sharp shapes, and noise."""
    image = cv2.resize(random.integers(0, 256, (9, 16, 3), np.uint8), size, interpolation=cv2.INTER_CUBIC)
    for _ in range(30):
        centre = (int(random.integers(size.width)), int(random.integers(size.height)))
        colour = tuple(int(c) for c in random.integers(0, 256, 3))
        cv2.circle(image, centre, int(random.integers(5, 120)), colour, -1, cv2.LINE_AA)
    noise = random.normal(0, random.uniform(0, 6), image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    good, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert good
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def i420(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(I420(Size(image.shape[1], image.shape[0]))(image), cv2.COLOR_YUV2RGB_I420)


def preview(image: np.ndarray) -> np.ndarray:
    return jpeg(cv2.resize(image, (960, 540)), 80)


WAYS = {
    "as it is": lambda image: image,
    "the virtual camera": i420,
    "the preview": preview,
    "the virtual camera in a call at 640x360, JPEG 60": lambda image: jpeg(
        cv2.resize(i420(image), (640, 360), interpolation=cv2.INTER_AREA), 60
    ),
    "enlarged": lambda image: cv2.resize(image, (1920, 1080)),
}


@pytest.mark.parametrize("way", WAYS)
def test_it_is_found_after(way, mark):
    random = np.random.default_rng()
    for _ in range(4):
        image = scene(random)
        plain = image.copy()
        mark.weave(image)
        assert score(WAYS[way](image)) > FOUND
        assert abs(score(WAYS[way](plain))) < FOUND


@pytest.mark.parametrize("level", [0, 255])
def test_black_and_white_hold_it_too(level, mark):
    image = np.full((SIZE.height, SIZE.width, 3), level, np.uint8)
    mark.weave(image)
    assert score(i420(image)) > FOUND


def test_it_is_not_seen(mark):
    image = scene(np.random.default_rng())
    before = image.astype(int)
    mark.weave(image)
    assert np.abs(image - before).max() <= 24
    assert np.abs(image - before).mean() < 3


def test_pictures_without_it_score_like_a_standard_normal_variable():
    random = np.random.default_rng()
    scores = np.array([score(scene(random, Size(640, 360))) for _ in range(60)])
    assert np.abs(scores).max() < 4.5
    assert abs(scores.mean()) < 0.6
    assert scores.std() < 1.5


def test_a_picture_smaller_than_the_grid_is_not_judged():
    assert score(np.zeros((50, 80, 3), np.uint8)) == 0.0


def run(runner, path):
    done = runner.invoke(app, ["marked", str(path), "--json"], standalone_mode=False)
    return done.return_value, json.loads(done.output)


def test_the_command_reads_pictures_and_recordings(tmp_path, mark):
    from typer.testing import CliRunner

    random = np.random.default_rng()
    image = scene(random)
    cv2.imwrite(str(tmp_path / "plain.jpg"), image)
    mark.weave(image)
    cv2.imwrite(str(tmp_path / "marked.jpg"), image)
    assert run(CliRunner(), tmp_path / "plain.jpg")[0] == ExitCode.NO_MARK
    code, facts = run(CliRunner(), tmp_path / "marked.jpg")
    assert (code, facts["marked"], facts["pictures"]) == (ExitCode.OK, True, 1)
    with av.open(str(tmp_path / "clip.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "30"})
        stream.width, stream.height = 640, 360
        for _ in range(6):
            small = cv2.resize(image, (640, 360), interpolation=cv2.INTER_AREA)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(small, format="rgb24")))
        container.mux(stream.encode())
    code, facts = run(CliRunner(), tmp_path / "clip.mp4")
    assert (code, facts["marked"]) == (ExitCode.OK, True)
    assert facts["pictures"] > 1
