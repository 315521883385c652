"""Broken numbers, failing calls, half precision and wrong shapes in the stream batch."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pipeline.conditioning import TextContext
from pipeline.errors import EngineError
from pipeline.sequential import denoise
from pipeline.stream_batch import StreamBatch
from tests.unit.tiny_denoiser import (
    FORMS,
    LISTS,
    TinyUNet,
    admission,
    assert_alike,
    buffers_of,
    context,
    run,
)

# ---------------------------------------------------------------- broken numbers


@pytest.mark.parametrize("T", [1, 2, 4])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("broken", [float("nan"), float("inf"), float("-inf")])
def test_a_broken_frame_is_dropped_and_infects_nobody(T: int, form: str, broken: float) -> None:
    F, state = 2, admission(LISTS[T], guidance=form)
    buffers = buffers_of(8, F)
    healthy = run(StreamBatch(TinyUNet(4), steps=T, frame_buffer_size=F), buffers, [state] * 8)
    buffers[3] = buffers[3].clone()
    buffers[3][1, 2, 4, 5] = broken
    batch = StreamBatch(TinyUNet(4), steps=T, frame_buffer_size=F)
    for good, out in zip(healthy, run(batch, buffers, [state] * 8), strict=True):
        if good is None or out is None:
            assert good is out
            continue
        for tag, valid, got, expected in zip(out.tags, out.valid(), out.latents, good.latents, strict=True):
            assert valid == (tag != 7)
            assert torch.equal(got, expected if valid else torch.zeros_like(got))
    assert batch.dropped == 1


@pytest.mark.parametrize("form", FORMS)
def test_a_prompt_that_breaks_the_unet_breaks_only_its_own_frames(form: str) -> None:
    healthy = admission(seed=1, guidance=form)
    poison = replace(healthy, context=TextContext(torch.full((1, 5, 6), float("nan"))))
    batch = StreamBatch(TinyUNet(4), steps=2)
    buffers = buffers_of(8)
    order = [healthy, healthy, poison, poison, healthy, healthy, healthy, healthy]
    out = [e for e in run(batch, buffers, order) if e is not None]
    assert [all(e.valid()) for e in out] == [True, True, False, False, True, True, True]
    for z, e in zip(buffers, out, strict=False):
        if e.admission is healthy:
            assert_alike(e.latents, denoise(TinyUNet(4), z, healthy))
    assert batch.dropped == 2


def test_half_precision_overflow_is_noticed() -> None:
    """float16 ends at 65504: what float32 still holds must not come out as Inf unnoticed."""
    state = admission((35,), guidance="none", context=context(0, dtype=torch.float16))
    batch = StreamBatch(lambda x, timesteps, context: torch.full_like(x, -6e4), steps=1)
    out = batch.step(
        torch.zeros((1, 4, 6, 6), dtype=torch.float16), replace(state, schedule=state.schedule), [0]
    )
    assert out is not None
    big = StreamBatch(lambda x, timesteps, context: torch.full_like(x, -6e4), steps=1)
    extreme = admission((0,), guidance="none", context=context(0, dtype=torch.float16))
    overflow = big.step(torch.zeros((1, 4, 6, 6), dtype=torch.float16), extreme, [0])
    assert overflow is not None
    assert overflow.valid() == (False,)
    assert out.valid() == (True,)


def test_after_a_failed_call_the_stream_goes_on() -> None:
    fails = False

    def predict(x: Tensor, timesteps: Tensor, context: TextContext) -> Tensor:
        if fails:
            raise RuntimeError("out of memory")
        return unet(x, timesteps, context)

    unet = TinyUNet(4)
    state = admission()
    batch = StreamBatch(predict, steps=2)
    z = buffers_of(4)
    batch.step(z[0], state, ["a"])
    fails = True
    with pytest.raises(RuntimeError, match="out of memory"):
        batch.step(z[1], state, ["lost"])
    fails = False
    out = batch.step(z[2], state, ["b"])
    assert out is not None
    assert out.tags == ("a",)
    assert_alike(out.latents, denoise(unet, z[0], state))
    assert [e.tags for e in batch.drain()] == [("b",)]


# ---------------------------------------------------------------- dtypes, errors


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("form", FORMS)
def test_half_precision_latents(dtype: torch.dtype, form: str) -> None:
    state = admission(LISTS[4], guidance=form)
    half = replace(state, context=context(0, dtype=dtype), negative=context(1000, dtype=dtype))
    buffers = [z.to(dtype) for z in buffers_of(6)]
    exact = run(StreamBatch(TinyUNet(4), steps=4), [z.float() for z in buffers], [state] * 6)
    for a, b in zip(exact, run(StreamBatch(TinyUNet(4), steps=4), buffers, [half] * 6), strict=True):
        if a is not None and b is not None:
            assert b.latents.dtype == dtype
            assert (a.latents - b.latents.float()).abs().mean() < 0.06 * a.latents.abs().mean()


def test_inference_mode_can_come_and_go() -> None:
    batch = StreamBatch(TinyUNet(4), steps=2)
    with torch.inference_mode():
        made_inside = admission()
        batch.step(torch.randn(1, 4, 6, 6), made_inside, [0])
    out = batch.step(torch.randn(1, 4, 6, 6), replace(made_inside, guidance="full"), [1])
    assert out is not None
    with torch.inference_mode():
        batch.step(torch.randn(1, 4, 6, 6), admission(seed=3), [2])
    batch.reset()


def test_what_does_not_fit_is_named() -> None:
    batch = StreamBatch(TinyUNet(4), steps=2, frame_buffer_size=2)
    z = torch.randn(2, 4, 6, 6)
    cases = [
        (z, admission((20,)), (0, 1), "1 steps"),
        (z, admission(guidance="full", negative=None), (0, 1), "negative"),
        (z, admission(), (0,), "1 tags"),
        (z, admission(size=8), (0, 1), "noise of shape"),
        (z[:1], admission(), (0,), "2 frames"),
        (z, admission(context=TextContext(torch.randn(3, 5, 6))), (0, 1), "(3, 5, 6)"),
    ]
    for latents, state, tags, names in cases:
        with pytest.raises(EngineError) as caught:
            batch.step(latents, state, tags)
        assert names in str(caught.value)
    batch.reset()
    batch.step(z, admission(), (0, 1))
    with pytest.raises(EngineError, match="in flight"):
        batch.step(torch.randn(2, 4, 8, 8), admission(size=8), (2, 3))
    batch.reset()
    assert batch.step(torch.randn(2, 4, 8, 8), admission(size=8), (2, 3)) is None
    with pytest.raises(EngineError, match="start at 1"):
        StreamBatch(TinyUNet(4), steps=0)
    with pytest.raises(EngineError, match="the UNet made"):
        StreamBatch(lambda x, timesteps, context: x[:, :2], steps=1).step(z[:1], admission((20,)), [0])


def test_prompts_of_two_widths_cannot_share_a_call() -> None:
    batch = StreamBatch(TinyUNet(4), steps=2)
    z = torch.randn(1, 4, 6, 6)
    batch.step(z, admission(), [0])
    with pytest.raises(EngineError, match="text encoder"):
        batch.step(z, admission(context=context(1, tokens=9)), [1])
