"""The deadline of a running daemon, on a clock of the test's own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from daemon.deadline.watch import DeadlineWatch
from daemon.settings import DeadlineSettings
from pipeline.messages import Event, LiveState, Mode

OWN = LiveState(t_index_list=(20, 30, 45), similarity_threshold=0.98, revision=1)
TEN = DeadlineSettings(fps=10, least_threshold=0.95, least_steps=2, least_scale=0.75)


class Stand:
    def __init__(self, settings: DeadlineSettings = TEN) -> None:
        self.events: list[Event] = []
        self.now = 0.0
        self.watch = DeadlineWatch(settings, OWN, self.events.append, lambda: self.now)

    def pass_time(self, seconds: float, p99: float) -> None:
        for _ in range(int(seconds / 0.5)):
            self.now += 0.5
            self.watch.measure({"p99": p99, "painted": 20})


def test_it_steps_down_in_order_says_so_and_comes_back_up():
    stand = Stand()
    stand.pass_time(60, 250)
    assert [(e.data["after"]["similarity_threshold"], e.data["after"]["steps"], e.data["after"]["canvas_scale"])
            for e in stand.events] == [
        (0.965, 3, 1.0), (0.95, 3, 1.0), (0.95, 2, 1.0), (0.95, 2, 0.875), (0.95, 2, 0.75)
    ]  # fmt: skip
    assert "250.0 ms" in stand.events[0].message
    assert stand.events[0].data["budget_ms"] == 100
    status = stand.watch.status()
    assert status is not None
    assert (status["level"], status["lowest"], status["steps"]) == (5, 5, 2)
    assert "2 steps instead of 3" in status["given_up"]
    stand.pass_time(120, 20)
    assert stand.watch.effective() == OWN
    assert [e.data["level"] for e in stand.events[5:]] == [4, 3, 2, 1, 0]
    assert "as you set it" in stand.events[-1].message


def test_off_it_does_nothing():
    stand = Stand(DeadlineSettings())
    stand.pass_time(60, 1000)
    assert stand.watch.effective() is OWN
    assert stand.watch.status() is None
    assert not stand.events


def test_what_is_changed_by_hand_wins_and_is_left_alone():
    stand = Stand()
    stand.pass_time(60, 250)
    by_hand = replace(OWN, t_index_list=(5, 10, 20, 30), revision=2)
    stand.watch.changed(by_hand)
    assert stand.watch.effective() == by_hand
    stand.pass_time(60, 250)
    effective = stand.watch.effective()
    assert effective.t_index_list == by_hand.t_index_list
    assert (effective.similarity_threshold, effective.canvas_scale) == (0.95, 0.75)
    status: Any = stand.watch.status()
    assert status["left_alone"] == ["t_index_list"]


def test_any_other_change_goes_through_and_keeps_the_level():
    stand = Stand()
    stand.pass_time(60, 250)
    stand.watch.changed(replace(OWN, mode=Mode.FREEZE, steadiness=0.1, revision=2))
    effective = stand.watch.effective()
    assert (effective.mode, effective.steadiness, effective.revision) == (Mode.FREEZE, 0.1, 2)
    assert effective.canvas_scale == 0.75


def test_another_deadline_starts_afresh():
    stand = Stand()
    stand.pass_time(60, 250)
    stand.watch.adopt(TEN)
    assert stand.watch.effective() != OWN
    stand.watch.adopt(DeadlineSettings(fps=2))
    assert stand.watch.effective() == OWN
    stand.watch.adopt(DeadlineSettings())
    assert stand.watch.status() is None


def test_while_a_faster_engine_is_being_built_nothing_is_decided():
    stand = Stand()
    for _ in range(100):
        stand.now += 0.5
        assert not stand.watch.measure({"p99": 250, "painted": 20}, building=True)
    stand.pass_time(2, 250)
    assert not stand.events, "the figures are still those of the eager engine"
    stand.pass_time(4, 250)
    assert stand.events
    for _ in range(200):  # a build that does not come to an end holds nothing up for ever
        stand.now += 0.5
        stand.watch.measure({"p99": 250, "painted": 20}, building=True)
    assert stand.events[-1].data["level"] == 5


def test_no_figures_no_decision():
    stand = Stand()
    for figures in (None, {}, {"p99": None, "painted": 0}):
        assert not stand.watch.measure(figures)
