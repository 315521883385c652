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

from pipeline.carried_paint import CarriedPaint
from pipeline.conditioning import TextContext
from pipeline.configs import EngineConfig
from pipeline.engine.engine import StreamBatched
from pipeline.engine.pictures import PendingPictures
from pipeline.frame import Frame, Size, now_ns
from pipeline.geometry import scaled_canvas
from pipeline.lanes import Lanes, Passage
from pipeline.live_admission import LiveAdmission
from pipeline.messages import LiveState, Style
from pipeline.noise import blend_noise, noise_for
from pipeline.runner import Runner
from pipeline.schedule import Schedule
from pipeline.similarity import SimilarityFilter, SimilarityOptions
from pipeline.slot import SlotReader, SlotWriter, ThreadBell, ring_bytes
from pipeline.stream import Seeds, Stream
from pipeline.stream_batch import StreamBatch
from pipeline.stream_shape import StreamShape
from tests.unit.tiny_denoiser import ALPHAS_CUMPROD

SIZE = Size(64, 32)
PLAIN = LiveState(style=Style(strength=0.0), similarity=False, revision=1)


class Mirror(StreamBatched):
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

    def step(self, batch, latents, admission, tags):
        return batch.step(latents, admission, tags)

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
        self.engine = Mirror()
        stream = self.stream(StreamShape(len(t_index_list), frames, SIZE))
        self.admissions = LiveAdmission(
            Conditioner(),
            lambda indices, strength: Schedule.of(ALPHAS_CUMPROD, indices, strength),
            stream.noise_of,
        )
        self.filter = SimilarityFilter()
        self.carried = CarriedPaint(0.0)
        self.apply(self.state)
        self.invalid: list[int] = []
        self.runner = Runner(
            config, SlotReader(camera_memory, SIZE, bell), SlotWriter(styled_memory, SIZE, out_bell.ring),
            self.engine, stream, self.admissions, self.filter, self.carried,
            on_invalid=self.invalid.append,
        )  # fmt: skip
        self.sent = 0

    def stream(self, shape: StreamShape) -> Stream:
        def predict(x: Tensor, timesteps: Tensor, context: TextContext) -> Tensor:
            return torch.zeros_like(x)

        def noise_of(seeds: Seeds) -> Tensor:
            sides = shape.canvas.height, shape.canvas.width
            return blend_noise([(noise_for(s, shape.steps, 3, *sides), w) for s, w in seeds])

        return Stream(
            shape,
            StreamBatch(predict, steps=shape.steps, frame_buffer_size=shape.frames),
            lambda prepared, admission: self.engine.encode(prepared.on(shape.canvas)),
            noise_of,
        )

    def reshape(self, shape: StreamShape, state: LiveState) -> None:
        """As `pipeline.build` does it."""
        stream = self.stream(shape)
        self.admissions.draw_noise_with(stream.noise_of)
        ready = self.admissions.prepared(state, now_ns())

        def change() -> None:
            self.runner.replace_stream(stream)
            self.admissions.take(ready)

        self.runner.between_frames(change)

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


def test_a_still_scene_is_shown_steadier_than_it_was_painted():
    """Here the painting is the picture itself, sensor noise and all."""
    rng = np.random.default_rng()
    still = rng.uniform(40, 200, (SIZE.height // 8, SIZE.width // 8, 3)).repeat(8, 0).repeat(8, 1)
    with Stand() as stand:
        stand.carried.amount = 0.8
        shown, taken = [], []
        for _ in range(16):
            image = (still + rng.normal(0, 2, still.shape)).round().astype(np.uint8)
            stand.camera.put(Frame(image, stand.sent, now_ns(), 0))
            stand.sent += 1
            taken.append(image)
            shown.append(stand.get().image.copy())
    assert np.std(shown[4:], 0).mean() < 0.7 * np.std(taken[4:], 0).mean()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_error_in_a_stage_ends_the_runner_and_is_kept():
    with Stand() as stand:
        stand.engine.error = MemoryError("no memory left")
        stand.put(1)
        until(lambda: stand.runner.failed)
        assert isinstance(stand.runner.failed, MemoryError)


def test_another_number_of_steps_starts_with_silence_and_no_garbage():
    with Stand() as stand:
        for value, steps in ((10, 3), (60, 1), (110, 4)):
            stand.put(value)
            while stand.get().seq != stand.sent - 1:
                pass
            state = replace(stand.state, t_index_list=(5, 20, 30, 45)[:steps], revision=value)
            stand.reshape(StreamShape(steps, 1, SIZE), state)
            until(lambda revision=value: stand.admissions.revision == revision)
            calls, out = stand.runner.counts.calls, stand.runner.counts.frames_out
            for n in range(1, 6):
                stand.put(value + n)
                until(lambda n=n, calls=calls: stand.runner.counts.calls >= calls + n)
                until(
                    lambda n=n, out=out, silent=steps - 1: (
                        stand.runner.counts.frames_out >= out + max(0, n - silent)
                    )
                )
                if n < steps:
                    assert stand.runner.counts.frames_out == out
                else:
                    frame = stand.get()
                    assert (frame.image == frame.seq % 6 + value).all()
                    assert (frame.seq, frame.revision) == (stand.sent - steps, value)


@pytest.mark.parametrize("scale", [0.5, 0.75])
def test_a_smaller_canvas_changes_neither_ring_nor_picture(scale):
    with Stand() as stand:
        stand.put(10)
        stand.get()
        small = scaled_canvas(SIZE, scale, 8)
        sizes = []
        encode = stand.engine.encode
        stand.engine.encode = lambda pixels: (sizes.append(pixels.shape[1:3]), encode(pixels))[1]
        stand.reshape(StreamShape(1, 1, small), replace(stand.state, revision=2))
        for value in (40, 200):
            stand.put(value)
            frame = stand.get()
            while frame.revision != 2 or frame.seq != stand.sent - 1:
                frame = stand.get()
            assert frame.image.shape == (SIZE.height, SIZE.width, 3)
            assert (frame.image == value).all()
        assert set(sizes) == {(small.height, small.width)}
        stand.reshape(StreamShape(1, 1, SIZE), replace(stand.state, revision=3))
        stand.put(90)
        frame = stand.get()
        while frame.revision != 3:
            frame = stand.get()
        assert (frame.image == 90).all()
        assert sizes[-1] == (SIZE.height, SIZE.width)


def test_a_new_shape_is_seen_even_while_a_still_scene_is_skipped():
    state = replace(PLAIN, similarity=True, max_skip_frames=1000)
    with Stand(state=state) as stand:
        for _ in range(10):
            stand.put(120)
            until(lambda: stand.runner.counts.frames_in == stand.sent)
        until(lambda: stand.runner.counts.skipped >= 5)
        while stand.styled.take() is not None:
            pass
        calls = stand.runner.counts.calls
        stand.reshape(StreamShape(2, 1, SIZE), replace(state, t_index_list=(20, 45)))  # the revision stays
        until(lambda: stand.runner.stream.shape.steps == 2)
        for _ in range(4):
            stand.put(120)
            until(lambda: stand.runner.counts.frames_in == stand.sent)
            time.sleep(0.02)
        assert (stand.get().image == 120).all()
        assert stand.runner.counts.calls == calls + 2  # in, and once more to drive it out


class TwoLanes(Mirror):
    """Frames with an even number take longer than those with an odd one, which would overtake them."""

    def __init__(self) -> None:
        super().__init__()
        self._lanes = Lanes([self._predict, self._predict], threads=1)
        self.slow_s, self.fast_s = 0.05, 0.0
        self.on_lanes = 0
        self.most = 0
        self.raises: Exception | None = None

    @property
    def lanes(self) -> int:
        return 2

    def calls_to_leave(self, steps: int) -> int:
        return 1

    def ready(self, timeout_s: float) -> bool:
        return self._lanes.ready(timeout_s)

    def _predict(self, x: Tensor, timesteps: Tensor, context: TextContext) -> Tensor:
        self.on_lanes += 1
        self.most = max(self.most, self.on_lanes)
        if self.raises:
            raise self.raises
        time.sleep(self.slow_s if float(context.embeds[0, 0, 0]) == 0 else self.fast_s)
        self.on_lanes -= 1
        return torch.zeros_like(x)

    def step(self, batch, latents, admission, tags):
        odd = tags[0].seq % 2
        context = TextContext(torch.full((1, 4, 8), float(odd)))
        passage = Passage(
            latents.clone(), replace(admission, context=context), tuple(tags), "sample", True, None
        )
        self._lanes.enter(passage)
        return passage


PAINTED = replace(PLAIN, style=Style(strength=0.5, guidance_scale=1.0))


def lanes_stand(**changes: object) -> Stand:
    stand = Stand(**changes)  # type: ignore[arg-type]
    stand.engine = TwoLanes()
    stand.runner._engine = stand.engine
    return stand


def test_frames_of_two_lanes_are_published_in_the_order_of_the_camera():
    with lanes_stand(t_index_list=(20, 45), state=PAINTED) as stand:
        for n in range(12):
            stand.put(n)
            until(lambda n=n: stand.runner.counts.calls == n + 1)
        seen = []
        until(lambda: stand.runner.counts.frames_out == 12)
        while (frame := stand.styled.take()) is not None:
            seen.append(frame.seq)
        assert stand.engine.most == 2, "two frames are worked on at a time"
        assert seen == sorted(seen)
        assert seen[-1] == 11
        assert stand.runner.times.facts()["denoise"]["p50"] > 10


def test_the_newest_frame_is_taken_when_a_lane_is_free_and_not_before():
    with lanes_stand(state=PAINTED) as stand:
        stand.engine.slow_s = stand.engine.fast_s = 0.2
        for n in range(2):
            stand.put(n)
            until(lambda n=n: stand.runner.counts.calls == n + 1)
        for n in range(2, 7):
            stand.put(n)
            until(lambda n=n: stand.runner.counts.frames_in == stand.sent)
        until(lambda: stand.runner.counts.calls == 3)
        until(lambda: stand.runner.counts.frames_out == 3)
        assert stand.runner.newest is not None
        assert stand.runner.newest.tags[0].seq == 6
        assert stand.runner.counts.superseded == 4


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_fails_on_a_lane_ends_the_stages():
    with lanes_stand(state=PAINTED) as stand:
        stand.engine.raises = RuntimeError("out of memory")
        stand.put(0)
        until(lambda: stand.runner.failed is not None)
        assert "out of memory" in str(stand.runner.failed)


def test_a_lane_that_hangs_is_noticed_while_the_other_one_is_free_and_no_frame_comes():
    with lanes_stand(state=PAINTED) as stand:
        stand.engine.slow_s = 1.2  # the first frame's
        stand.put(0)
        until(lambda: stand.runner.counts.calls == 1)
        until(lambda: stand.runner.busy_s > 0.8)
        assert (now_ns() - stand.runner.counts.last_call_ns) / 1e9 < 0.6, "the other lane waits for frames"
        until(lambda: stand.runner.counts.frames_out == 1)
        until(lambda: stand.runner.busy_s < 0.5)
