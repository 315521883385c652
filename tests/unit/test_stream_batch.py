"""The stream batch against the sequential reference, frame by frame, under every state a frame can have."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from pipeline.admission import Admission
from pipeline.conditioning import TextContext
from pipeline.noise import noise_for
from pipeline.schedule import Schedule
from pipeline.sequential import denoise
from pipeline.stream_batch import StreamBatch
from tests.unit.tiny_denoiser import (
    ALPHAS_CUMPROD,
    FORMS,
    LISTS,
    TinyUNet,
    admission,
    assert_alike,
    buffers_of,
    context,
    run,
)

# ---------------------------------------------------------------- stream = sequential


@pytest.mark.parametrize("T", [1, 2, 4])
@pytest.mark.parametrize("F", [1, 2, 3])
@pytest.mark.parametrize("form", FORMS)
def test_stream_equals_sequential(T: int, F: int, form: str) -> None:
    unet, state = TinyUNet(4), admission(LISTS[T], guidance=form)
    for prediction_type, add_noise in product(("epsilon", "v_prediction", "sample"), (True, False)):
        options: dict[str, Any] = {"prediction_type": prediction_type, "add_noise": add_noise}
        buffers = buffers_of(T + 2, F)
        out = run(StreamBatch(unet, steps=T, frame_buffer_size=F, **options), buffers, [state] * len(buffers))
        assert out[: T - 1] == [None] * (T - 1)
        for z, emitted in zip(buffers, out[T - 1 :], strict=False):
            assert emitted is not None
            torch.testing.assert_close(
                emitted.latents, denoise(unet, z, state, **options), rtol=0, atol=1e-4, msg=f"{options}"
            )


@st.composite
def states(draw: st.DrawFn, T: int, channels: int) -> Admission:
    indices = draw(st.lists(st.integers(0, 49), min_size=T, max_size=T, unique=True).map(sorted))
    return admission(
        tuple(indices),
        channels=channels,
        seed=draw(st.integers(0, 2**31)),
        strength=draw(st.one_of(st.just(0.0), st.floats(0.01, 1))),
        guidance=draw(st.sampled_from(FORMS)),
        guidance_scale=draw(st.floats(0.5, 5)),
        delta=draw(st.floats(0, 1.5)),
        start=draw(st.sampled_from(["image", "image", "image", "noise"])),
    )


@settings(max_examples=80, deadline=None)
@given(
    data=st.data(),
    T=st.sampled_from([1, 2, 3, 4]),
    F=st.integers(1, 3),
    channels=st.sampled_from([1, 4, 16]),
    prediction_type=st.sampled_from(["epsilon", "v_prediction", "sample"]),
    add_noise=st.booleans(),
)
def test_every_frame_keeps_the_state_it_came_with(
    data: st.DataObject, T: int, F: int, channels: int, prediction_type: str, add_noise: bool
) -> None:
    """Prompt, form, g, δ, schedule, strength, noise and start change; frames in flight do not notice."""
    bank = [data.draw(states(T, channels)) for _ in range(3)]
    order = data.draw(st.lists(st.integers(0, 2), min_size=T, max_size=T + 6))
    buffers = buffers_of(len(order), F, channels, seed=data.draw(st.integers(0, 2**31)))
    options = {"prediction_type": prediction_type, "add_noise": add_noise}
    unet = TinyUNet(channels)
    batch = StreamBatch(unet, steps=T, frame_buffer_size=F, **options)  # type: ignore[arg-type]
    emitted = [e for e in run(batch, buffers, [bank[o] for o in order]) if e is not None] + batch.drain()
    assert [t for e in emitted for t in e.tags] == list(range(len(order) * F))
    for z, o, out in zip(buffers, order, emitted, strict=True):
        expected = denoise(TinyUNet(channels), z, bank[o], **options)  # type: ignore[arg-type]
        assert out.admission is bank[o]
        assert_alike(out.latents, expected)
        assert all(out.valid())


# ---------------------------------------------------------------- order


@pytest.mark.parametrize("T", [1, 2, 4])
@pytest.mark.parametrize("F", [1, 2, 3])
def test_frames_leave_in_order_at_their_call(T: int, F: int) -> None:
    batch = StreamBatch(TinyUNet(4), steps=T, frame_buffer_size=F)
    state = admission(LISTS[T])
    for _ in range(2):
        out = run(batch, buffers_of(9, F), [state] * 9)
        for n in range((9 - T + 1) * F):
            emitted = out[n // F + T - 1]
            assert emitted is not None
            assert emitted.tags[n % F] == n
        assert out[: T - 1] == [None] * (T - 1)
        assert batch.in_flight == (T - 1) * F
        batch.reset()  # a rebuild shows no left-over frame either
        assert batch.in_flight == 0


def test_positions_of_a_buffer_share_their_noise() -> None:
    """Else the picture of a still camera would flicker with period F."""
    batch = StreamBatch(TinyUNet(4), steps=2, frame_buffer_size=3)
    still = buffers_of(1)[0].expand(3, -1, -1, -1).contiguous()
    outs = [e for e in run(batch, [still] * 4, [admission()] * 4) if e is not None]
    for out in outs:
        torch.testing.assert_close(out.latents, outs[0].latents[:1].expand_as(out.latents), rtol=0, atol=1e-5)


def test_drain_takes_out_what_is_in_flight() -> None:
    batch = StreamBatch(TinyUNet(4), steps=4)
    state = admission(LISTS[4])
    assert batch.drain() == []
    buffers = buffers_of(3)
    run(batch, buffers, [state] * 3)
    drained = batch.drain()
    assert [e.tags for e in drained] == [(0,), (1,), (2,)]
    for z, out in zip(buffers, drained, strict=True):
        assert_alike(out.latents, denoise(TinyUNet(4), z, state))
    assert batch.in_flight == 0
    assert run(batch, buffers_of(1), [state]) == [None]


# ---------------------------------------------------------------- what a step costs


@pytest.mark.parametrize("T", [1, 2, 4])
@pytest.mark.parametrize("F", [1, 3])
@pytest.mark.parametrize("form", FORMS)
def test_one_unet_call_a_step_with_no_row_too_many(T: int, F: int, form: str) -> None:
    unet = TinyUNet(4)
    batch = StreamBatch(unet, steps=T, frame_buffer_size=F)
    run(batch, buffers_of(6, F), [admission(LISTS[T], guidance=form)] * 6)
    B = T * F
    assert unet.rows == [{"none": B, "self": B, "onetime": B + F, "full": 2 * B}[form]] * 6


def test_forms_mix_in_one_call() -> None:
    unet = TinyUNet(4)
    batch = StreamBatch(unet, steps=4)
    forms = ["full", "onetime", "self", "none", "none", "none", "none"]
    run(batch, buffers_of(7), [admission(LISTS[4], seed=i, guidance=f) for i, f in enumerate(forms)])
    # empty slots run along with the newest state; then: one full slot, that and a first step of onetime, …
    assert unet.rows == [8, 6, 5, 5, 4, 4, 4]


class Addresses(TinyUNet):
    """Notes where its inputs lie."""

    def __init__(self) -> None:
        super().__init__(4)
        self.seen: set[tuple[int, ...]] = set()

    def __call__(self, x: Tensor, timesteps: Tensor, context: TextContext) -> Tensor:
        self.seen.add((x.data_ptr(), timesteps.data_ptr(), context.embeds.data_ptr()))
        return super().__call__(x, timesteps, context)


def test_a_live_change_moves_no_tensor() -> None:
    """What a captured graph reads stays where it is when prompt, seed, strength, guidance or delta change."""
    unet = Addresses()
    batch = StreamBatch(unet, steps=2)
    start = admission()
    changes = [
        start,
        replace(start, context=context(77)),
        replace(start, guidance_scale=3.0, delta=0.2),
        replace(start, noise=noise_for(5, 2, 4, 6, 6)),
        replace(start, schedule=Schedule.of(ALPHAS_CUMPROD, (10, 30), 0.7)),
    ]
    layouts = []
    for z, state in zip(buffers_of(5), changes, strict=True):
        batch.allocate(z)
        layouts.append(batch.load(state, [0]))
        batch.collect(*batch.compute(z, layouts[-1]))
    assert len(unet.seen) == 1
    assert len(set(layouts)) == 1
    for earlier, later in pairwise(layouts[2:]):  # the first frames fill the slots
        assert earlier == later
    run(batch, buffers_of(1), [replace(start, guidance="full")])
    assert len(unet.seen) == 2  # more rows: a new layout, and it says so
    assert batch.load(replace(start, guidance="full"), [0]).generation > layouts[0].generation


class Operations(TorchDispatchMode):
    """Lists every tensor operation that runs inside."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction", "sample"])
def test_steady_state_writes_nothing_and_never_reads_a_number_back(form: str, prediction_type: str) -> None:
    """`load` runs no operation while nothing changes; `compute` none that would wait for a GPU."""
    batch = StreamBatch(TinyUNet(4), steps=4, prediction_type=prediction_type)  # type: ignore[arg-type]
    state = admission(LISTS[4], guidance=form)
    run(batch, buffers_of(5), [state] * 5)
    for z in buffers_of(3):
        with Operations() as loading:
            layout = batch.load(state, [0])
        with Operations() as computing:
            emitted = batch.compute(z, layout)
        assert batch.collect(*emitted) is not None
        assert loading.names == []
        assert not [n for n in computing.names if "local_scalar" in n or "nonzero" in n or "item" in n]
