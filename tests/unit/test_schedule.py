"""The schedule against diffusers' own scheduler, and strength as a continuous, monotone knob."""

from __future__ import annotations

import math
from functools import cache

import pytest
import torch
from diffusers import LCMScheduler
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import EngineError
from pipeline.schedule import Schedule, clean_from, consistency, epsilon_from, lcm_grid, signal_power
from tests.unit.tiny_denoiser import ALPHAS_CUMPROD, untimed

T_INDEX_LISTS = st.lists(st.integers(0, 49), min_size=1, max_size=5, unique=True).map(sorted)


@cache
def lcm_scheduler(prediction_type: str = "epsilon") -> LCMScheduler:
    scheduler = LCMScheduler(prediction_type=prediction_type)
    scheduler.set_timesteps(50)
    return scheduler


def test_grid_is_the_schedulers() -> None:
    assert list(lcm_grid()) == lcm_scheduler().timesteps.tolist()
    assert lcm_grid()[0] == 999
    assert lcm_grid()[49] == 19
    assert lcm_grid(1000, 4) == (999, 749, 499, 249)


@untimed
@given(T_INDEX_LISTS)
def test_numbers_are_the_schedulers_at_strength_one_half(t_index_list: list[int]) -> None:
    scheduler = lcm_scheduler()
    schedule = Schedule.of(scheduler.alphas_cumprod, t_index_list)
    for k, i in enumerate(t_index_list):
        tau = int(scheduler.timesteps[i])
        c_skip, c_out = scheduler.get_scalings_for_boundary_condition_discrete(tau)
        power = float(scheduler.alphas_cumprod[tau])
        assert schedule.timesteps[k] == tau
        assert schedule.a[k] == pytest.approx(math.sqrt(power), abs=1e-6)
        assert schedule.b[k] == pytest.approx(math.sqrt(1 - power), abs=1e-6)
        assert schedule.c_skip[k] == pytest.approx(c_skip, abs=1e-9)
        assert schedule.c_out[k] == pytest.approx(c_out, abs=1e-9)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction", "sample"])
@untimed
@given(index=st.integers(0, 49), seed=st.integers(0, 2**31))
def test_consistency_step_is_the_schedulers(prediction_type: str, index: int, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    x, output = torch.randn((2, 3, 4, 5, 5), generator=g)
    scheduler = lcm_scheduler(prediction_type)
    tau = scheduler.timesteps[index]
    scheduler.set_timesteps(50)  # back to its first step
    expected = scheduler.step(output, tau, x, generator=g).denoised
    s = Schedule.of(scheduler.alphas_cumprod, [index])
    epsilon = epsilon_from(output, x, s.a[0], s.b[0], prediction_type)  # type: ignore[arg-type]
    got = consistency(epsilon, x, s.a[0], s.b[0], s.c_skip[0], s.c_out[0])
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


@untimed
@given(index=st.integers(0, 49), seed=st.integers(0, 2**31))
def test_prediction_types_name_the_same_noise(index: int, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    clean, noise = torch.randn((2, 1, 4, 5, 5), generator=g)
    s = Schedule.of(ALPHAS_CUMPROD, [index])
    a, b = s.a[0], s.b[0]
    x = a * clean + b * noise
    outputs = {"epsilon": noise, "v_prediction": a * noise - b * clean, "sample": clean}
    for prediction_type, output in outputs.items():
        epsilon = epsilon_from(output, x, a, b, prediction_type)  # type: ignore[arg-type]
        torch.testing.assert_close(epsilon, noise, rtol=0, atol=1e-5)
        torch.testing.assert_close(clean_from(epsilon, x, a, b), clean, rtol=0, atol=1e-4)


@untimed
@given(T_INDEX_LISTS, st.floats(0, 1), st.floats(0, 1))
def test_noise_rises_with_strength(t_index_list: list[int], s: float, t: float) -> None:
    weak = Schedule.of(ALPHAS_CUMPROD, t_index_list, min(s, t))
    strong = Schedule.of(ALPHAS_CUMPROD, t_index_list, max(s, t))
    for k in range(len(t_index_list)):
        assert weak.timesteps[k] <= strong.timesteps[k] <= 999.0 + 1e-9
        assert weak.b[k] <= strong.b[k]
        assert weak.a[k] >= strong.a[k] > 0
    for schedule in (weak, strong):
        assert list(schedule.timesteps) == sorted(schedule.timesteps, reverse=True)
        for a, b in zip(schedule.a, schedule.b, strict=True):
            assert math.isclose(a * a + b * b, 1.0, rel_tol=1e-9)


@untimed
@given(T_INDEX_LISTS, st.floats(0, 0.999))
def test_strength_is_continuous(t_index_list: list[int], s: float) -> None:
    here, beside = (Schedule.of(ALPHAS_CUMPROD, t_index_list, v) for v in (s, s + 1e-6))
    for k in range(len(t_index_list)):
        assert abs(here.timesteps[k] - beside.timesteps[k]) < 0.02
        assert abs(here.b[k] ** 2 - beside.b[k] ** 2) < 1e-4


@untimed
@given(T_INDEX_LISTS)
def test_ends_of_strength(t_index_list: list[int]) -> None:
    assert Schedule.of(ALPHAS_CUMPROD, t_index_list, 1.0).timesteps[0] == pytest.approx(999.0)
    assert Schedule.of(ALPHAS_CUMPROD, t_index_list, 0.0).bypass
    just_on = Schedule.of(ALPHAS_CUMPROD, t_index_list, 1e-6)
    assert not just_on.bypass
    assert just_on.b[0] < 5e-3  # no step in the picture when the slider leaves 0


@untimed
@given(st.floats(1, 999))
def test_signal_power_lies_between_its_neighbours(tau: float) -> None:
    low, high = math.floor(tau), math.ceil(tau)
    assert ALPHAS_CUMPROD[high] <= signal_power(ALPHAS_CUMPROD, tau) <= ALPHAS_CUMPROD[low]
    assert signal_power(ALPHAS_CUMPROD, float(low)) == ALPHAS_CUMPROD[low]


def test_zero_terminal_snr_stays_finite() -> None:
    scheduler = LCMScheduler(rescale_betas_zero_snr=True, prediction_type="v_prediction")
    s = Schedule.of(scheduler.alphas_cumprod, [0, 25], 1.0)
    x, v = torch.randn(2, 1, 4, 5, 5)
    epsilon = epsilon_from(v, x, s.a[0], s.b[0], "v_prediction")
    denoised = consistency(epsilon, x, s.a[0], s.b[0], s.c_skip[0], s.c_out[0])
    torch.testing.assert_close(denoised, -v, rtol=0, atol=1e-2)  # at a = 0 the velocity is −x̂_0


@pytest.mark.parametrize(
    ("t_index_list", "strength", "names"),
    [
        ([], 0.5, "t_index_list"),
        ([50], 0.5, "50"),
        ([-1], 0.5, "-1"),
        ([30, 20], 0.5, "ascending"),
        ([3, 3], 0.5, "[3, 3]"),
    ]
    + [([10], s, "strength") for s in (-0.1, 1.1, math.nan)],
)
def test_what_cannot_be_is_named(t_index_list: list[int], strength: float, names: str) -> None:
    with pytest.raises(EngineError) as caught:
        Schedule.of(ALPHAS_CUMPROD, t_index_list, strength)
    assert names in str(caught.value)


def test_schedules_are_values() -> None:
    assert Schedule.of(torch.tensor(ALPHAS_CUMPROD), [5, 9], 0.4) == Schedule.of(
        torch.tensor(ALPHAS_CUMPROD), (5, 9), 0.4
    )
