"""What one sink sees: its own readers of the shared slots, and the ladder's choice made into a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from daemon.picture.badge import NO_BADGE, Badge
from daemon.picture.ladder import OnFault, Rung, choose
from daemon.picture.slate import slate
from pipeline.frame import Frame, Image, Size, now_ns
from pipeline.messages import Mode
from pipeline.slot import SlotReader


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the ladder needs to know of the moment, whole: replaced, never changed.

    hold_s: how old (seconds) a picture may be and still be shown. title, reason: what a slate says.
    raw: whether raw pictures may be looked at (see `ladder.raw_allowed`). badge: put on painted pictures.
    """

    mode: Mode = Mode.STYLED
    on_fault: OnFault = "slate"
    hold_s: float = 2.0
    raw: bool = False
    title: str = "Starting"
    reason: str = ""
    badge: Badge = NO_BADGE


class View:
    """One sink's pictures, always of the output's size. Used by that sink's thread only."""

    def __init__(
        self,
        size: Size,
        styled: SlotReader,
        raw: Callable[[], SlotReader],
        outlook: Callable[[], Outlook],
    ) -> None:
        self._size = size
        self._styled_reader = styled
        self._open_raw = raw
        self._raw_reader: SlotReader | None = None
        self._outlook = outlook
        self._styled: Frame | None = None
        self._raw: Frame | None = None
        self._blurred: tuple[int, Image] | None = None

    def now(self) -> tuple[Frame, Rung]:
        """The frame to publish at this moment, and which rung of the ladder it stands on."""
        outlook = self._outlook()
        self._look(outlook)
        now = now_ns()
        rung = choose(
            outlook.mode,
            styled_age_s=_age_s(self._styled, now),
            raw_age_s=_age_s(self._raw, now),
            hold_s=outlook.hold_s,
            on_fault=outlook.on_fault,
        )
        if rung in (Rung.STYLED, Rung.HELD, Rung.FROZEN) and self._styled is not None:
            return self._styled, rung
        if rung is Rung.RAW and self._raw is not None:
            return self._raw, rung
        if rung is Rung.BLUR and self._raw is not None:
            return self._blur(self._raw), rung
        image = slate(self._size, outlook.title, outlook.reason)
        return Frame(image, seq=-1, t_capture=now, t_published=now), Rung.SLATE

    def _look(self, outlook: Outlook) -> None:
        if outlook.mode is Mode.PANIC:
            # Nothing from before a panic may come back after it.
            self._styled = self._raw = self._blurred = None
            self._styled_reader.forget()
        elif (outlook.mode is not Mode.FREEZE or self._styled is None) and (
            frame := self._styled_reader.take()
        ) is not None:
            outlook.badge.put_on(frame.image)  # the reader's own copy, and nobody else's yet
            self._styled = frame
        if not outlook.raw:
            self._raw = self._raw_reader = self._blurred = None
            return
        if self._raw_reader is None:
            self._raw_reader = self._open_raw()
            self._raw_reader.rewind()  # the ladder looks at its age
        self._raw = self._raw_reader.take() or self._raw

    def _blur(self, raw: Frame) -> Frame:
        """Beyond recognition: 16 pixels of height remain, whatever the size."""
        if self._blurred is None or self._blurred[0] != raw.t_capture:
            few = Size(max(1, 16 * self._size.width // self._size.height), 16)
            small = cv2.resize(raw.image, few, interpolation=cv2.INTER_AREA)
            soft = cv2.GaussianBlur(small, (0, 0), 1.2)
            large = cv2.resize(soft, self._size, interpolation=cv2.INTER_CUBIC)
            self._blurred = (raw.t_capture, np.ascontiguousarray(large, np.uint8))
        return Frame(self._blurred[1], raw.seq, raw.t_capture, raw.t_published)


def _age_s(frame: Frame | None, now: int) -> float | None:
    return None if frame is None else (now - frame.t_capture) / 1e9
