"""Another number of steps or another canvas inside a running engine: the real model, threads and slots."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.build import Build, build
from pipeline.configs import EngineConfig
from pipeline.frame import Frame, Size, now_ns
from pipeline.geometry import scaled_canvas
from pipeline.messages import LiveState, Style
from pipeline.slot import SlotReader, SlotWriter, ThreadBell, ring_bytes

CANVAS, OUTPUT = Size(80, 48), Size(160, 96)
STATE = LiveState(
    Style(prompt="anime", seed=3), t_index_list=(45,), similarity=False, steadiness=0, revision=1
)


class Stand:
    def __init__(self, state: LiveState = STATE) -> None:
        camera, styled = bytearray(ring_bytes(CANVAS)), bytearray(ring_bytes(OUTPUT))
        bell, out = ThreadBell(), ThreadBell()
        self.camera = SlotWriter(camera, CANVAS, bell.ring)
        self.styled = SlotReader(styled, OUTPUT, out)
        self.said: list[str] = []
        config = EngineConfig(
            model="builtin", vae=None, loras=(), canvas=CANVAS, output=OUTPUT, fit="cover", upscale="sharp",
            device="cpu", dtype="float32",
        )  # fmt: skip
        self.build: Build = build(
            config, state, SlotReader(camera, CANVAS, bell), SlotWriter(styled, OUTPUT, out.ring),
            lambda *_: None, lambda level, text: self.said.append(text),
        )  # fmt: skip
        self.sent = 0

    def __enter__(self) -> Stand:
        self.build.runner.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.build.runner.stop()

    def show(self, picture: np.ndarray, revision: int) -> np.ndarray:
        """Put it before the camera until it comes out painted under that revision."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            self.camera.put(Frame(picture, self.sent, now_ns(), 0))
            self.sent += 1
            frame = self.styled.wait(0.2)
            if frame is not None and frame.revision == revision:
                return frame.image.copy()
        raise AssertionError((self.build.runner.counts, self.said))


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    coarse = np.random.default_rng().integers(0, 256, (6, 10, 3), np.uint8)
    return np.ascontiguousarray(np.kron(coarse, np.ones((8, 8, 1), np.uint8)))


@pytest.mark.parametrize(
    "changes",
    [{"t_index_list": (40, 46)}, {"canvas_scale": 0.5}, {"t_index_list": (20, 40, 46), "canvas_scale": 0.7}],
)
def test_a_changed_engine_paints_as_one_built_that_way(
    picture: np.ndarray, changes: dict[str, object]
) -> None:
    changed = replace(STATE, revision=2, **changes)  # type: ignore[arg-type]
    with Stand(changed) as fresh:
        expected = fresh.show(picture, 2)
    with Stand() as stand:
        first = stand.show(picture, 1)
        info = stand.build.info
        stand.build.apply(changed)
        assert (stand.show(picture, 2) == expected).all()
        assert stand.build.info["steps"] == len(changed.t_index_list)
        assert stand.build.info["size"] == str(scaled_canvas(CANVAS, changed.canvas_scale, 8))
        assert stand.build.info != info
        stand.build.apply(replace(STATE, revision=3))
        assert (stand.show(picture, 3) == first).all()
        assert not stand.said


def test_a_steadied_painting_follows_a_change_of_canvas(picture: np.ndarray) -> None:
    """The last painting is carried at the size of what is painted now, and never between two sizes."""
    steady = replace(STATE, steadiness=0.8)
    with Stand(steady) as stand:
        for revision, scale in ((2, 0.7), (3, 1.0)):
            stand.build.apply(replace(steady, canvas_scale=scale, revision=revision))
            for _ in range(3):
                stand.show(picture, revision)
        assert stand.build.runner.failed is None


def test_a_shape_that_cannot_be_run_leaves_the_old_one_at_work(picture: np.ndarray) -> None:
    with Stand() as stand:
        before = stand.show(picture, 1)
        real = stand.build.engine.prepare_for

        def too_much(shape: object) -> None:
            raise MemoryError("no memory left")

        stand.build.engine.prepare_for = too_much  # type: ignore[method-assign]
        stand.build.apply(replace(STATE, t_index_list=(20, 40, 46), revision=2))
        until(lambda: stand.said)
        assert "no memory left" in stand.said[0]
        assert "3 steps" in stand.said[0]
        assert (stand.show(picture, 1) == before).all()
        stand.build.engine.prepare_for = real  # type: ignore[method-assign]
        stand.build.apply(replace(STATE, t_index_list=(20, 40, 46), revision=3))
        stand.show(picture, 3)
        assert stand.build.info["steps"] == 3


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([8, 16]), st.floats(0.25, 1.0))
def test_a_scaled_canvas_keeps_multiples_bounds_and_about_the_aspect(
    w: int, h: int, multiple: int, scale: float
) -> None:
    canvas = Size(w * multiple, h * multiple)
    small = scaled_canvas(canvas, scale, multiple)
    for side, of in zip(small, canvas, strict=True):
        assert side % multiple == 0
        assert multiple <= side <= of
        assert abs(side - of * scale) <= multiple / 2 or side == multiple
    assert scaled_canvas(canvas, 1.0, multiple) == canvas
