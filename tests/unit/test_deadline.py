"""The deadline's policy as a pure function: it finds the level that is in time, stays there, and comes back."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.deadline.concessions import Floors, levels, said, thinned, touched
from daemon.deadline.rule import RISE_S, ROOM, SETTLE_S, Measurement, Stand, decide
from pipeline.messages import LiveState

TICK_S = 0.5
BUDGET = 1000 / 30


def run(
    costs: list[float], load: list[float], stand: Stand | None = None, start_s: float = 0.0
) -> list[Stand]:
    """One measurement each half second; costs: p99 in ms of each level at load 1."""
    stand, stands = stand or Stand(), []
    for n, factor in enumerate(load):
        measured = Measurement(costs[stand.level] * factor, 30, start_s + n * TICK_S)
        stand = decide(stand, measured, BUDGET, len(costs) - 1)
        stands.append(stand)
    return stands


def moves(stands: list[Stand]) -> int:
    return sum(a.level != b.level for a, b in pairwise([Stand(), *stands]))


costs_ms = st.lists(st.floats(1, 200), min_size=1, max_size=12)
scatter = st.lists(st.floats(0.9, 1.1), min_size=400, max_size=400)


@settings(max_examples=60)
@given(costs_ms, scatter)
def test_under_a_constant_load_it_comes_to_rest(costs: list[float], noise: list[float]) -> None:
    stands = run(costs, noise)
    # it only ever goes down: a level that was late is not tried again
    assert all(b.level >= a.level for a, b in pairwise(stands))
    assert moves(stands) <= len(costs) - 1


@settings(max_examples=60)
@given(costs_ms, st.lists(st.floats(0.1, 6), min_size=300, max_size=300))
def test_it_moves_one_level_at_a_time_within_its_bounds_and_lets_figures_settle(costs, load) -> None:
    stands = run(costs, load)
    changes = [n for n, (a, b) in enumerate(pairwise([Stand(), *stands])) if a.level != b.level]
    for n in changes:
        before = stands[n - 1].level if n else 0
        assert abs(stands[n].level - before) == 1
        assert 0 <= stands[n].level <= len(costs) - 1
    assert all((b - a) * TICK_S >= SETTLE_S for a, b in pairwise(changes))


@settings(max_examples=60)
@given(st.lists(st.floats(1.0, 1.6), min_size=1, max_size=8), st.floats(1.2, 3.0))
def test_a_load_that_comes_and_goes_is_answered_and_forgotten(ratios, load) -> None:
    costs = [BUDGET * 0.7]
    for ratio in ratios:
        costs.append(costs[-1] / ratio)
    loaded = run(costs, [load] * 200)
    assert costs[loaded[-1].level] * load <= BUDGET or loaded[-1].level == len(costs) - 1
    if loaded[-1].level:
        assert costs[loaded[-1].level - 1] * load > BUDGET  # no coarser than needed
    eased = run(costs, [1.0] * 400, loaded[-1], start_s=200 * TICK_S)
    assert eased[-1].level == 0


@given(st.floats(1.02, 1.2))
def test_a_rise_that_fails_is_tried_ever_more_seldom(above: float) -> None:
    """Figures that lie: each time it is at level 1, level 0 looks cheap, and never is."""
    stand, tries, n = Stand(), [], 0
    while n * TICK_S < 600:
        p99 = BUDGET * above if stand.level == 0 else BUDGET * ROOM * 0.2
        if stand.level and stand.gains[0] > 1.2:
            stand = Stand(**{**{f: getattr(stand, f) for f in Stand.__slots__}, "gains": (1.0,)})
        before = stand.level
        stand = decide(stand, Measurement(p99, 30, n * TICK_S), BUDGET, 1)
        if stand.level < before:
            tries.append(n * TICK_S)
        n += 1
    waits = [b - a for a, b in pairwise(tries)]
    assert all(b >= a - TICK_S for a, b in pairwise(waits))
    assert waits[-1] > 4 * RISE_S


@given(st.integers(0, 2), st.floats(50, 500))
def test_a_few_frames_decide_nothing(painted: int, p99: float) -> None:
    stand = Stand()
    for n in range(40):
        stand = decide(stand, Measurement(p99, painted, n * TICK_S), BUDGET, 5)
    assert stand.level == 0


def test_a_level_that_is_gone_is_left_at_once() -> None:
    assert decide(Stand(level=5, gains=(1.0,) * 5), Measurement(1, 30, 9), BUDGET, 2).level == 2


# ---------------------------------------------------------------- what is given up

states = st.builds(
    LiveState,
    t_index_list=st.lists(st.integers(0, 49), min_size=1, max_size=8, unique=True).map(
        lambda t: tuple(sorted(t))
    ),
    similarity=st.booleans(),
    similarity_threshold=st.floats(0, 0.999),
    canvas_scale=st.floats(0.25, 1),
    max_skip_frames=st.integers(0, 20),
)
floors = st.builds(Floors, st.floats(0, 0.999), st.integers(1, 8), st.floats(0.25, 1))
pins = st.sets(st.sampled_from(["similarity_threshold", "t_index_list", "canvas_scale"]))


@given(states, floors, pins)
def test_each_level_gives_up_one_thing_more_and_none_goes_below_its_floor(state, least, pinned) -> None:
    found = levels(state, least, pinned)
    assert found[0] == state
    for finer, coarser in pairwise(found):
        assert len(touched(finer, coarser)) == 1
        assert said(state, coarser)
        assert coarser.similarity_threshold <= finer.similarity_threshold
        assert len(coarser.t_index_list) <= len(finer.t_index_list)
        assert coarser.canvas_scale <= finer.canvas_scale
        assert coarser.similarity_threshold >= min(least.threshold, state.similarity_threshold)
        assert len(coarser.t_index_list) >= min(least.steps, len(state.t_index_list))
        assert coarser.canvas_scale >= min(least.scale, state.canvas_scale)
        assert not touched(state, coarser) & pinned
        assert coarser.t_index_list[0] == state.t_index_list[0]
        assert set(coarser.t_index_list) <= set(state.t_index_list)


def test_steps_go_from_the_middle() -> None:
    assert [thinned((0, 16, 32, 45), n) for n in (4, 3, 2, 1)] == [
        (0, 16, 32, 45),
        (0, 32, 45),
        (0, 45),
        (0,),
    ]
