"""What is given up, level by level, when frames are late: first what is seen least. Pure.

similarity threshold (more frames count as alike) → steps (the first keeps its place: it says how much of the
camera's own picture is left) → canvas
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final, Literal

from pipeline.messages import LiveState

Knob = Literal["similarity_threshold", "t_index_list", "canvas_scale"]
KNOBS: Final[tuple[Knob, ...]] = ("similarity_threshold", "t_index_list", "canvas_scale")
SCALES: Final = (0.875, 0.75, 0.625, 0.5, 0.375, 0.25)


@dataclass(frozen=True, slots=True)
class Floors:
    """Nothing goes below these; a value that the user has set lower stays."""

    threshold: float
    steps: int
    scale: float


def levels(state: LiveState, floors: Floors, pinned: Collection[Knob] = ()) -> tuple[LiveState, ...]:
    """`state` itself, then with one concession more each. pinned: what the user keeps a hand on."""
    made = [state]
    if "similarity_threshold" not in pinned and state.similarity and state.max_skip_frames > 0:
        own, least = state.similarity_threshold, floors.threshold
        made += [replace(state, similarity_threshold=t) for t in ((own + least) / 2, least) if t < own]
    if "t_index_list" not in pinned:
        own_steps = len(state.t_index_list)
        made += [
            replace(made[-1], t_index_list=thinned(state.t_index_list, count))
            for count in range(own_steps - 1, min(own_steps, floors.steps) - 1, -1)
        ]
    if "canvas_scale" not in pinned:
        made += [
            replace(made[-1], canvas_scale=scale)
            for scale in SCALES
            if floors.scale <= scale < state.canvas_scale
        ]
    return tuple(made)


def thinned(t_index_list: tuple[int, ...], count: int) -> tuple[int, ...]:
    """`count` of the steps, evenly spread; the first always, and the last where there are two or more."""
    if count <= 1:
        return t_index_list[:1]
    last = len(t_index_list) - 1
    return tuple(t_index_list[round(k * last / (count - 1))] for k in range(count))


def touched(before: LiveState, after: LiveState) -> frozenset[Knob]:
    """The knobs that a change of the user's own state has moved."""
    return frozenset(knob for knob in KNOBS if getattr(before, knob) != getattr(after, knob))


def said(own: LiveState, effective: LiveState) -> str:
    """In words: what `effective` gives up; "" where nothing."""
    parts = []
    if effective.similarity_threshold != own.similarity_threshold:
        parts.append(
            f"similarity threshold {effective.similarity_threshold:.3g} instead of {own.similarity_threshold:.3g}"
        )
    if len(effective.t_index_list) != len(own.t_index_list):
        parts.append(f"{len(effective.t_index_list)} steps instead of {len(own.t_index_list)}")
    if effective.canvas_scale != own.canvas_scale:
        parts.append(f"canvas at {effective.canvas_scale:.0%} instead of {own.canvas_scale:.0%}")
    return ", ".join(parts)
