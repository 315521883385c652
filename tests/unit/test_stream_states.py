"""What reaches frames in flight when the state changes, strength 0, and dreams."""

from __future__ import annotations

import pytest
import torch

from pipeline.sequential import denoise
from pipeline.stream_batch import StreamBatch
from tests.unit.tiny_denoiser import (
    FORMS,
    LISTS,
    TinyUNet,
    admission,
    assert_alike,
    buffers_of,
    run,
)

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
