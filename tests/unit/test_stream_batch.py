"""The stream batch against the sequential reference, frame by frame, under every state a frame can have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from pipeline.admission import Admission, Emitted
from pipeline.conditioning import TextContext
from pipeline.errors import EngineError
from pipeline.noise import noise_for
from pipeline.schedule import Schedule
from pipeline.sequential import denoise
from pipeline.stream_batch import StreamBatch
from tests.unit.tiny_denoiser import ALPHAS_CUMPROD, TinyUNet, admission, context

FORMS = ("none", "full", "self", "onetime")
LISTS = {1: (35,), 2: (20, 40), 4: (12, 20, 32, 45)}


def run(batch: StreamBatch, buffers: Sequence[Tensor], states: Sequence[Admission]) -> list[Emitted | None]:
    """One step a buffer; tags are the frames' numbers."""
    F = batch.frame_buffer_size
    return [
        batch.step(z, state, range(i * F, (i + 1) * F))
        for i, (z, state) in enumerate(zip(buffers, states, strict=True))
    ]


def buffers_of(count: int, F: int = 1, channels: int = 4, seed: int | None = None) -> list[Tensor]:
    generator = torch.Generator()
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    return list(torch.randn((count, F, channels, 6, 6), generator=generator))


def assert_alike(got: Tensor, expected: Tensor) -> None:
    """Equal to 1e-4 of the picture's range (extreme guidance makes latents of hundreds)."""
    scale = max(1.0, expected.abs().max().item())
    torch.testing.assert_close(got / scale, expected / scale, rtol=0, atol=1e-4)


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


@settings(max_examples=150, deadline=None)
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


# ---------------------------------------------------------------- immediate


@pytest.mark.parametrize("form", FORMS)
def test_immediate_applies_the_newest_state_to_frames_in_flight(form: str) -> None:
    """The frame's second step sees the new prompt, g, δ, schedule and noise; written out step by step."""
    before, after = admission(seed=1, guidance="none"), admission((10, 30), seed=2, guidance=form, delta=0.7)
    unet = TinyUNet(4)
    batch = StreamBatch(unet, steps=2, prompt_switch="immediate")
    first, second = buffers_of(2)
    out = run(batch, [first, second], [before, after])[1]
    assert out is not None
    assert out.revision == after.revision

    s, t = before.schedule, after.schedule
    reference = TinyUNet(4)
    x = s.a[0] * first + s.b[0] * before.noise[:1]
    epsilon = reference(x, torch.tensor([s.timesteps[0]]), before.context)
    x = t.a[1] * (s.c_out[0] * (x - s.b[0] * epsilon) / s.a[0] + s.c_skip[0] * x) + t.b[1] * after.noise[1:]
    tau = torch.tensor([t.timesteps[1]])
    epsilon = reference(x, tau, after.context)
    assert after.negative is not None
    epsilon_n = reference(x, tau, after.negative)
    epsilon_u = {
        "none": epsilon,
        "full": epsilon_n,
        "self": 0.7 * (x - t.a[1] * first) / t.b[1],
        "onetime": 0.7 * epsilon_n,  # this frame's negative was not asked before
    }[form]
    epsilon = epsilon_u + 1.4 * (epsilon - epsilon_u)
    expected = t.c_out[1] * (x - t.b[1] * epsilon) / t.a[1] + t.c_skip[1] * x
    assert_alike(out.latents, expected)


def test_admitted_leaves_frames_in_flight_alone() -> None:
    before, after = admission(seed=1), admission(seed=2)
    z = buffers_of(3)
    unchanged = run(StreamBatch(TinyUNet(4), steps=2), z, [before] * 3)[1]
    changed = run(StreamBatch(TinyUNet(4), steps=2), z, [before, after, after])
    immediate = run(StreamBatch(TinyUNet(4), steps=2, prompt_switch="immediate"), z, [before, after, after])
    assert unchanged is not None
    assert changed[1] is not None
    assert immediate[1] is not None
    assert torch.equal(unchanged.latents, changed[1].latents)
    assert (unchanged.latents - immediate[1].latents).abs().max() > 1e-2


# ---------------------------------------------------------------- strength and dreams


def test_strength_zero_passes_by_the_unet_in_order() -> None:
    unet = TinyUNet(4)
    batch = StreamBatch(unet, steps=4, frame_buffer_size=2)
    buffers = buffers_of(8, 2)
    out = run(batch, buffers, [admission(LISTS[4], strength=0.0, guidance="full")] * 8)
    assert out[:3] == [None] * 3
    for z, emitted in zip(buffers, out[3:], strict=False):
        assert emitted is not None
        assert torch.equal(emitted.latents, z)
    assert unet.rows == []


def test_picture_leaves_the_cameras_gently() -> None:
    """Next to strength 0 the output is next to the camera's latents, whatever the UNet says."""
    z = buffers_of(1)[0]
    for strength in (1e-6, 1e-5, 1e-4, 1e-3, 1e-2):
        state = admission((45,), strength=strength, guidance="none")
        out = denoise(TinyUNet(4), z, state)
        assert (out - z).abs().max() < 8 * state.schedule.b[0]


@pytest.mark.parametrize("T", [1, 2, 4])
def test_dreams_start_from_the_noise_as_it_is(T: int) -> None:
    """x_0 is the given noise, not a mixture; for RCFG the frame's own clean latents are 0: S_0 = x_0/b_0."""
    state = admission(LISTS[T], start="noise", strength=1.0, delta=1.0)
    s, unet = state.schedule, TinyUNet(4)
    batch = StreamBatch(TinyUNet(4), steps=T)
    dreams = buffers_of(T + 2)
    out = [e for e in run(batch, dreams, [state] * len(dreams)) if e is not None]
    for x, emitted in zip(dreams, out, strict=False):
        for k in range(T):
            if k > 0:
                x = s.a[k] * x + s.b[k] * state.noise[k]
            epsilon = unet(x, torch.tensor([s.timesteps[k]]), state.context)
            virtual = x / s.b[k]
            epsilon = virtual + 1.4 * (epsilon - virtual)
            x = s.c_out[k] * (x - s.b[k] * epsilon) / s.a[k] + s.c_skip[k] * x
        assert_alike(emitted.latents, x)


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
