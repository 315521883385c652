"""What is measured: numbers of steps and forms of guidance, as live states of the user's own style."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from pipeline.messages import LiveState

STEPS: Final = {1: (45,), 2: (40, 46), 4: (20, 32, 40, 46)}
"""t_index_list by T; which ones changes no time."""
GUIDED: Final = 1.4


def rows(state: LiveState) -> dict[str, LiveState]:
    """By name, in order. Every frame is painted: the similarity filter is off."""
    base = replace(state, similarity=False, canvas_scale=1.0, blend=(), morph_s=0.0)
    plain = replace(base.style, guidance="none", guidance_scale=1.0)
    guided = replace(base.style, guidance="self", guidance_scale=GUIDED)
    made = {
        f"{steps} step{'s' * (steps > 1)}": replace(base, t_index_list=list_, style=plain)
        for steps, list_ in STEPS.items()
    }
    made["4 steps, RCFG self"] = replace(base, t_index_list=STEPS[4], style=guided)
    return {name: replace(row, revision=n + 1) for n, (name, row) in enumerate(made.items())}
