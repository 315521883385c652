"""Frames side by side give what the stream batch gives, in the order in which they came."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial

import pytest
import torch
from torch import Tensor

from pipeline.admission import Admission, Leaving
from pipeline.conditioning import TextContext
from pipeline.lanes import Lanes, Passage
from pipeline.sequential import denoise
from pipeline.stream_batch import StreamBatch
from tests.unit.tiny_denoiser import FORMS, LISTS, TinyUNet, admission, assert_alike, buffers_of, run


def passage(z: Tensor, state: Admission, tag: int = 0) -> Passage:
    return Passage(z, state, (tag,) * len(z), "epsilon", True, None)


def through(lanes: Lanes, buffers: Sequence[Tensor], states: Sequence[Admission]) -> list[Leaving]:
    out = [passage(z, state, n) for n, (z, state) in enumerate(zip(buffers, states, strict=True))]
    for each in out:
        assert lanes.ready(10)
        lanes.enter(each)
    return list(out)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("steps", [1, 2, 4])
@pytest.mark.parametrize("frames", [1, 2])
def test_every_frame_is_what_the_stream_batch_emits(form, steps, frames):
    states = [admission(LISTS[steps], seed=n % 3, guidance=form) for n in range(9)]
    buffers = buffers_of(9, frames)
    batch = StreamBatch(TinyUNet(4), steps=steps, frame_buffer_size=frames)
    expected = [e for e in run(batch, buffers, states) if e is not None] + batch.drain()
    lanes = Lanes([TinyUNet(4), TinyUNet(4)], threads=1)
    got = [leaving.emitted() for leaving in through(lanes, buffers, states)]
    lanes.close()
    assert len(got) == len(expected) == 9
    for n, (a, b) in enumerate(zip(got, expected, strict=True)):
        assert a.tags == (n,) * frames
        assert (a.revision, a.valid()) == (b.revision, b.valid())
        assert_alike(a.latents, b.latents)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("before", FORMS)
def test_the_newest_state_reaches_a_frame_on_its_way_as_in_the_stream_batch(before, form):
    old, new = admission(seed=1, guidance=before), admission((10, 30), seed=2, guidance=form, delta=0.7)
    z = buffers_of(2)
    batch = StreamBatch(TinyUNet(4), steps=2, prompt_switch="immediate")
    expected = run(batch, z, [old, new])[1]
    assert expected is not None
    assert_alike(denoise(TinyUNet(4), z[0], old, newest=lambda: new), expected.latents)


def test_as_many_frames_are_worked_on_at_a_time_as_there_are_lanes():
    both = threading.Barrier(2, timeout=10)

    def predict(x: Tensor, timesteps: Tensor, context: TextContext) -> Tensor:
        both.wait()  # never passed by one alone
        return torch.zeros_like(x)

    lanes = Lanes([predict, predict], threads=1)
    out = through(lanes, buffers_of(4), [admission()] * 4)
    assert [leaving.emitted().tags for leaving in out] == [(n,) for n in range(4)]
    lanes.close()


def test_a_frame_that_finds_no_lane_waits_and_no_longer_than_it_must():
    gate = threading.Event()

    def predict(x: Tensor, timesteps: Tensor, context: TextContext) -> Tensor:
        assert gate.wait(10)
        return torch.zeros_like(x)

    lanes = Lanes([predict], threads=1)
    (first,) = through(lanes, buffers_of(1), [admission()])
    assert not lanes.ready(0.02)
    gate.set()
    assert lanes.ready(10)
    assert lanes.ready(0), "a lane that was found stays found"
    first.emitted()
    lanes.close()


def test_what_the_unet_raises_comes_to_who_waits_for_the_frame_and_the_lane_goes_on():
    calls = [0]

    def predict(x: Tensor, timesteps: Tensor, context: TextContext) -> Tensor:
        calls[0] += 1
        if calls[0] == 1:
            raise RuntimeError("not this one")
        return torch.zeros_like(x)

    lanes = Lanes([predict], threads=1)
    first, second = through(lanes, buffers_of(2), [admission()] * 2)
    with pytest.raises(RuntimeError, match="not this one"):
        first.emitted()
    assert second.emitted().valid() == (True,)
    lanes.close()


def test_frames_that_are_not_finite_are_zeros_and_told_apart():
    z = buffers_of(1, 2)[0]
    z[1, 0, 0, 0] = float("nan")
    lanes = Lanes([TinyUNet(4)], threads=1)
    lanes.enter(each := passage(z, admission()))
    out = each.emitted()
    assert out.valid() == (True, False)
    assert (out.latents[1] == 0).all()
    assert_alike(out.latents[:1], denoise(TinyUNet(4), z[:1], admission()))

    def infinite(x: Tensor, timesteps: Tensor, context: TextContext) -> Tensor:
        return x / 0

    lanes.close()
    lanes = Lanes([infinite], threads=1)
    lanes.enter(each := passage(buffers_of(1)[0], admission()))
    assert each.emitted().valid() == (False,)
    assert (each.emitted().latents == 0).all()
    lanes.close()


def test_who_is_on_a_lane_when_it_closes_still_leaves():
    gate = threading.Event()

    def predict(x: Tensor, timesteps: Tensor, context: TextContext) -> Tensor:
        gate.wait(10)
        return torch.zeros_like(x)

    lanes = Lanes([predict], threads=1)
    lanes.enter(each := passage(buffers_of(1)[0], admission()))
    closing = threading.Thread(target=lanes.close)
    closing.start()
    gate.set()
    closing.join(10)
    assert each.emitted().valid() == (True,)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_lane_has_its_own_number_of_threads(threads):
    seen: list[int] = []

    def predict(x: Tensor, timesteps: Tensor, context: TextContext) -> Tensor:
        seen.append(torch.get_num_threads())
        return torch.zeros_like(x)

    mine = torch.get_num_threads()
    lanes = Lanes([partial(predict)], threads)
    lanes.enter(each := passage(buffers_of(1)[0], admission()))
    each.emitted()
    lanes.close()
    assert set(seen) == {threads}
    assert torch.get_num_threads() == mine
