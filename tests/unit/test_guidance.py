"""Residual classifier-free guidance: Eq. 5 against its meaning and the original's recursion, and bounded."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.guidance import active_form, guided_noise, residual_noise
from pipeline.schedule import Schedule, clean_from
from pipeline.stream_batch import StreamBatch
from tests.unit.tiny_denoiser import ALPHAS_CUMPROD, TinyUNet, admission, untimed

SEEDS = st.integers(0, 2**31)


@untimed
@given(index=st.integers(0, 49), strength=st.floats(0.05, 1), seed=SEEDS)
def test_residual_noise_leads_back_to_the_clean_latents(index: int, strength: float, seed: int) -> None:
    x, z = torch.randn((2, 3, 4, 5, 5), generator=torch.Generator().manual_seed(seed))
    s = Schedule.of(ALPHAS_CUMPROD, [index], strength)
    back = clean_from(residual_noise(x, z, s.a[0], s.b[0]), x, s.a[0], s.b[0])
    torch.testing.assert_close(back, z, rtol=1e-4, atol=1e-4)


@untimed
@given(
    seed=SEEDS,
    g=st.floats(1, 5),
    delta=st.floats(0, 1.5),
    indices=st.sampled_from([(0, 16, 32, 45), (20, 40)]),
)
def test_closed_form_is_the_originals_recursion_where_that_is_sound(
    seed: int, g: float, delta: float, indices: tuple[int, ...]
) -> None:
    """S_{k+1} = N_{k+1} + (a_{k+1}/b_{k+1}) f(b_k S_k, ε̂_k), as the original carries it from step to step."""
    generator = torch.Generator().manual_seed(seed)
    steps = len(indices)
    z, *noise = torch.randn((steps + 1, 1, 4, 5, 5), generator=generator)
    s = Schedule.of(ALPHAS_CUMPROD, indices)
    x, carried = s.a[0] * z + s.b[0] * noise[0], noise[0]
    for k in range(steps - 1):
        closed = residual_noise(x, z, s.a[k], s.b[k])
        torch.testing.assert_close(closed, carried, rtol=1e-4, atol=1e-4)
        epsilon_c = torch.randn(z.shape, generator=generator)
        epsilon = guided_noise(epsilon_c, delta * closed, g)
        step = [s.c_out[k] * (v - s.b[k] * epsilon) / s.a[k] + s.c_skip[k] * v for v in (x, s.b[k] * carried)]
        x = s.a[k + 1] * step[0] + s.b[k + 1] * noise[k + 1]
        carried = noise[k + 1] + s.a[k + 1] / s.b[k + 1] * step[1]


@untimed
@given(seed=SEEDS, g=st.floats(1, 10))
def test_guidance_is_a_line_through_both_predictions(seed: int, g: float) -> None:
    conditional, unconditional = torch.randn((2, 3, 4, 5, 5), generator=torch.Generator().manual_seed(seed))
    expected = unconditional + g * (conditional - unconditional)
    torch.testing.assert_close(guided_noise(conditional, unconditional, g), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(guided_noise(conditional, unconditional, 1.0), conditional, rtol=0, atol=0)


@pytest.mark.parametrize("form", ["none", "full", "self", "onetime"])
@pytest.mark.parametrize("g", [-1.0, 0.0, 0.5, 1.0])
def test_no_guidance_up_to_one(form: str, g: float) -> None:
    """The original crashes here in `full` and `initialize`: it counts on negative rows it did not encode."""
    assert active_form(form, g) == "none"  # type: ignore[arg-type]
    frame = torch.randn(1, 4, 6, 6)
    unet = TinyUNet(4)
    guided, plain = (
        StreamBatch(unet, steps=1).step(
            frame, admission((30,), guidance=f, guidance_scale=s, negative=None), [0]
        )
        for f, s in ((form, g), ("none", 7.5))
    )
    assert guided is not None
    assert plain is not None
    assert torch.equal(guided.latents, plain.latents)
    assert unet.rows == [1, 1]


@pytest.mark.parametrize("form", ["self", "onetime"])
@pytest.mark.parametrize(("g", "t_index_list"), [(1.2, (25,)), (5.0, (0,)), (5.0, (45,))])
def test_one_step_stays_bounded_for_a_thousand_frames(
    form: str, g: float, t_index_list: tuple[int, ...]
) -> None:
    """The original's stock noise grows a hundredfold within five frames here, to NaN by frame 40."""
    batch = StreamBatch(TinyUNet(4), steps=1)
    state = admission(t_index_list, guidance=form, guidance_scale=g, delta=1.0)
    generator = torch.Generator().manual_seed(7)
    peaks = []
    for n in range(1000):
        out = batch.step(torch.randn((1, 4, 6, 6), generator=generator), state, [n])
        assert out is not None
        peaks.append(out.latents.abs().max())
    peak = torch.stack(peaks)
    assert peak.isfinite().all()
    assert peak[-100:].mean() < 1.5 * peak[:100].mean()
