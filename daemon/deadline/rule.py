"""When to paint coarser and when finer again, so that frames are in time: a pure function of figures and time.

Levels count from 0 (everything as the user wants it) to `lowest`; what each gives up is the part of
`daemon.deadline.concessions`.
One level at a time: down when p99 has been above the budget for a while, up when there is room for the level above.

There is room when p99 × gain ≤ ROOM × budget, `gain` being how much dearer the level above was when it was left.
So under a constant load the level above, which was late, is never tried again (figures that scatter by up to ±10 %
included: 0.9 / 1.1 > ROOM), and when the load falls, p99 here falls with it. Where a rise fails all the same, the
next one waits twice as long.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple

ROOM: Final = 0.8
SETTLE_S: Final = (
    3.0  # after a change, until the figures are all of the new level (`pipeline.frame_times.WINDOW_S`)
)
FALL_S: Final = 1.0  # late for so long: down
RISE_S: Final = 4.0  # room for so long: up
PATIENCE_S: Final = 120.0  # the longest wait for a rise, after several that failed
FAILED_S: Final = 20.0  # a rise that is taken back within this has failed
FEW: Final = 3  # painted frames below which figures say nothing


class Measurement(NamedTuple):
    """p99_ms: of a frame, over the last seconds. painted: frames of that time that were. at_s: monotonic seconds."""

    p99_ms: float
    painted: int
    at_s: float


@dataclass(frozen=True, slots=True)
class Stand:
    """level, and how it came to it.

    gains: p99 at level i ÷ p99 at level i + 1, as measured. left: p99 at the level that was left last, until the
    figures of the present one are there to compare with. patience_s: what the next rise waits.
    """

    level: int = 0
    changed_s: float = float("-inf")
    rose_s: float = float("-inf")
    late_since_s: float | None = None
    room_since_s: float | None = None
    patience_s: float = RISE_S
    gains: tuple[float, ...] = ()
    left: tuple[Literal["down", "up"], float] | None = None


def decide(stand: Stand, measured: Measurement, budget_ms: float, lowest: int) -> Stand:
    """The stand after one more measurement; its level differs by at most one and stays in 0 … lowest."""
    if stand.level > lowest:
        return _moved(stand, lowest, measured)
    if measured.painted < FEW or measured.at_s - stand.changed_s < SETTLE_S:
        return replace(stand, late_since_s=None, room_since_s=None)
    stand = _learned(stand, measured.p99_ms)
    if measured.p99_ms > budget_ms:
        since = measured.at_s if stand.late_since_s is None else stand.late_since_s
        stand = replace(stand, late_since_s=since, room_since_s=None)
        if stand.level < lowest and measured.at_s - since >= FALL_S:
            failed = measured.at_s - stand.rose_s < SETTLE_S + FAILED_S
            patience = min(PATIENCE_S, 2 * stand.patience_s) if failed else RISE_S
            return replace(_moved(stand, stand.level + 1, measured), patience_s=patience)
        return stand
    if stand.level > 0 and measured.p99_ms * stand.gains[stand.level - 1] <= ROOM * budget_ms:
        since = measured.at_s if stand.room_since_s is None else stand.room_since_s
        stand = replace(stand, late_since_s=None, room_since_s=since)
        if measured.at_s - since >= stand.patience_s:
            return replace(_moved(stand, stand.level - 1, measured), rose_s=measured.at_s)
        return stand
    return replace(stand, late_since_s=None, room_since_s=None)


def held(stand: Stand, at_s: float) -> Stand:
    """The stand while nothing is to be decided: figures count again SETTLE_S after `at_s`."""
    return replace(stand, changed_s=at_s, late_since_s=None, room_since_s=None)


def _moved(stand: Stand, level: int, measured: Measurement) -> Stand:
    gains = (*stand.gains, *[1.0] * (level - len(stand.gains)))
    return replace(
        stand,
        level=level,
        changed_s=measured.at_s,
        late_since_s=None,
        room_since_s=None,
        gains=gains,
        left=("down" if level > stand.level else "up", measured.p99_ms),
    )


def _learned(stand: Stand, p99_ms: float) -> Stand:
    """With the first settled figures of a level: what the step to it gained or cost."""
    if stand.left is None:
        return stand
    (way, before), gains = stand.left, list(stand.gains)
    upper, lower = (before, p99_ms) if way == "down" else (p99_ms, before)
    if lower > 0:
        gains[stand.level - 1 if way == "down" else stand.level] = upper / lower
    return replace(stand, gains=tuple(gains), left=None)
