"""Never black, never a lie: which picture a viewer gets, decided by ages alone.

    styled → last styled (at most hold_s) → on_fault: slate | blur | raw → slate with the reason

The age is that of the shown picture's `t_capture`, not of its painting: a denoiser that goes on painting a dead
camera's last picture does not look alive. The raw camera appears only where the user chose it: `bypass`, or
`on_fault: raw | blur`.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal

from pipeline.messages import Mode

OnFault = Literal["slate", "blur", "raw"]

FRESH_S: Final = (
    0.5  # older than this, a styled picture counts as held (in status only; it is shown all the same)
)


class Rung(str, Enum):
    """What a sink shows."""

    STYLED = "styled"
    HELD = "held"
    FROZEN = "frozen"
    RAW = "raw"
    BLUR = "blur"
    SLATE = "slate"


def choose(
    mode: Mode, *, styled_age_s: float | None, raw_age_s: float | None, hold_s: float, on_fault: OnFault
) -> Rung:
    """The rung for this moment. Ages are in seconds; None means that there is no such picture."""

    def usable(age_s: float | None) -> bool:
        return age_s is not None and age_s <= hold_s

    if mode is Mode.PANIC:
        return Rung.SLATE
    if mode is Mode.FREEZE and styled_age_s is not None:
        return Rung.FROZEN
    if mode is Mode.BYPASS:
        return Rung.RAW if usable(raw_age_s) else Rung.SLATE
    if usable(styled_age_s):
        return Rung.STYLED if styled_age_s is not None and styled_age_s <= FRESH_S else Rung.HELD
    if on_fault != "slate" and usable(raw_age_s):
        return Rung.RAW if on_fault == "raw" else Rung.BLUR
    return Rung.SLATE


def raw_allowed(mode: Mode, on_fault: OnFault, *, watched: bool = False) -> bool:
    """Whether the host may see raw camera pictures at all now. While False, none are even sent to it.

    watched: somebody looks at the page's before and after, which `web.show_raw` allows. No sink shows it.
    """
    return mode is Mode.BYPASS or ((watched or on_fault != "slate") and mode is not Mode.PANIC)
