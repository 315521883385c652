"""The engine's three threads around the real stream batch, filter and slots; only the model is a stand-in.

At strength 0 frames pass the UNet by, so with an autoencoder that changes nothing every picture must come out as it
went in, with its own count and time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.conditioning import TextContext
from pipeline.configs import EngineConfig
from pipeline.engine.pictures import PendingPictures
from pipeline.frame import Frame, Size, now_ns
from pipeline.live_admission import LiveAdmission
from pipeline.messages import LiveState, Style
from pipeline.noise import blend_noise, noise_for
from pipeline.runner import Runner
from pipeline.schedule import Schedule
from pipeline.similarity import SimilarityFilter, SimilarityOptions
from pipeline.slot import SlotReader, SlotWriter, ThreadBell, ring_bytes
from pipeline.stream_batch import StreamBatch
from tests.unit.tiny_denoiser import ALPHAS_CUMPROD

SIZE = Size(64, 32)
PLAIN = LiveState(style=Style(strength=0.0), similarity=False, revision=1)


class Mirror:
    """An engine whose latents are the picture itself."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.calls = 0
        self.poison = False
        self.error: Exception | None = None

    def encode(self, pixels: np.ndarray) -> Tensor:
        if self.error:
            raise self.error
        self.calls += 1
        time.sleep(self.delay_s)
        z = torch.from_numpy(pixels.copy()).permute(0, 3, 1, 2).float() / 255
        return z * float("nan") if self.poison else z

    def decode_async(self, latents: Tensor) -> PendingPictures:
        return PendingPictures(latents)


class Conditioner:
    def encode(self, prompt: str) -> TextContext:
        return TextContext(torch.zeros(1, 4, 8))


class Stand:
    def __init__(
        self, t_index_list: tuple[int, ...] = (45,), frames: int = 1, state: LiveState = PLAIN
    ) -> None:
        camera_memory, styled_memory = bytearray(ring_bytes(SIZE)), bytearray(ring_bytes(SIZE))
        bell, out_bell = ThreadBell(), ThreadBell()
        self.camera = SlotWriter(camera_memory, SIZE, bell.ring)
        self.styled = SlotReader(styled_memory, SIZE, out_bell)
        self.state = replace(state, t_index_list=t_index_list)
        config = EngineConfig(
            model="", vae=None, loras=(), canvas=SIZE, output=SIZE, fit="cover", upscale="bilinear",
            frame_buffer_size=frames,
        )  # fmt: skip
        steps = len(t_index_list)

        def predict(x: Tensor, timesteps: Tensor, context: TextContext) -> Tensor:
            return torch.zeros_like(x)

        self.engine = Mirror()
        self.admissions = LiveAdmission(
            Conditioner(),
            lambda indices, strength: Schedule.of(ALPHAS_CUMPROD, indices, strength),
            lambda seeds: blend_noise(
                [(noise_for(s, steps, 3, SIZE.height, SIZE.width), w) for s, w in seeds]
            ),
        )
        self.filter = SimilarityFilter()
        self.apply(self.state)
        self.invalid: list[int] = []
        self.runner = Runner(
            config, SlotReader(camera_memory, SIZE, bell), SlotWriter(styled_memory, SIZE, out_bell.ring),
            self.engine, lambda prepared, admission: self.engine.encode(prepared.pixels),
            StreamBatch(predict, steps=steps, frame_buffer_size=frames), self.admissions, self.filter,
            on_invalid=self.invalid.append,
        )  # fmt: skip
        self.sent = 0

    def apply(self, state: LiveState) -> None:
        self.filter.options = SimilarityOptions.of(state)
        self.admissions.update(state, now_ns())

    def __enter__(self) -> Stand:
        self.runner.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.runner.stop()

    def put(self, value: int) -> int:
        """A picture all of `value`; its capture time."""
        image = np.full((SIZE.height, SIZE.width, 3), value, np.uint8)
        t_capture = now_ns()
        self.camera.put(Frame(image, self.sent, t_capture, 0))
        self.sent += 1
        return t_capture

    def get(self) -> Frame:
        frame = self.styled.wait(10)
        assert frame is not None, self.runner.counts
        return frame


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_a_picture_comes_out_with_its_own_count_time_and_revision():
    with Stand() as stand:
        for value in (10, 90, 200):
            t_capture = stand.put(value)
            frame = stand.get()
            assert (frame.image == value).all()
            assert (frame.seq, frame.t_capture, frame.revision) == (stand.sent - 1, t_capture, 1)


@pytest.mark.parametrize("frames", [1, 2])
def test_metadata_rides_through_several_steps_and_buffers(frames):
    with Stand((20, 45), frames) as stand:
        times = {}
        seen: list[Frame] = []
        for value in range(8):
            times[value] = stand.put(value * 10)
            until(lambda: stand.runner.counts.frames_in == stand.sent)
            if stand.sent % frames == 0:
                until(lambda: stand.runner.counts.calls >= stand.sent // frames)
                while (frame := stand.styled.take()) is not None:
                    seen.append(replace(frame, image=frame.image.copy()))
        until(lambda: stand.runner.counts.frames_out >= 8)  # a standing camera lets the last ones out
        for frame in seen:
            assert (frame.image == frame.seq * 10).all(), "a picture came out under another's number"
            assert frame.t_capture == times[frame.seq]
        assert [f.seq for f in seen] == sorted(f.seq for f in seen)


def test_the_newest_frame_wins_while_the_denoiser_is_busy():
    with Stand() as stand:
        stand.engine.delay_s = 0.2
        stand.put(0)
        until(lambda: stand.engine.calls == 1)
        for value in range(1, 6):
            stand.put(value)
            until(lambda: stand.runner.counts.frames_in == stand.sent)
        assert stand.get().seq == 0
        assert stand.get().seq == 5
        assert stand.runner.counts.superseded == 4


def test_a_still_scene_is_skipped_until_the_state_changes():
    state = replace(PLAIN, similarity=True, max_skip_frames=1000)
    with Stand(state=state) as stand:
        for _ in range(20):
            stand.put(120)
            until(lambda: stand.runner.counts.frames_in == stand.sent)
            time.sleep(0.005)
        assert stand.runner.counts.skipped >= 15
        calls = stand.engine.calls
        assert stand.get().seq < 5
        stand.apply(replace(state, revision=2))
        stand.put(120)
        until(lambda: stand.engine.calls == calls + 1)
        assert stand.get().revision == 2


def test_a_new_prompt_is_seen_even_while_the_camera_stands_still():
    with Stand((20, 45)) as stand:
        stand.put(50)
        assert stand.get().seq == 0
        stand.apply(replace(stand.state, revision=7))
        frame = stand.get()
        while frame.revision != 7:
            frame = stand.get()
        assert (frame.image == 50).all()


def test_a_frame_that_is_not_finite_is_dropped_and_counted_and_the_next_is_shown():
    with Stand() as stand:
        stand.engine.poison = True
        stand.put(1)
        until(lambda: stand.invalid)
        assert stand.styled.take() is None
        stand.engine.poison = False
        stand.put(2)
        assert (stand.get().image == 2).all()
        assert stand.runner.counts.invalid == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_error_in_a_stage_ends_the_runner_and_is_kept():
    with Stand() as stand:
        stand.engine.error = MemoryError("no memory left")
        stand.put(1)
        until(lambda: stand.runner.failed)
        assert isinstance(stand.runner.failed, MemoryError)
