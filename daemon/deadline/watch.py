"""Keeps the deadline of a running daemon: figures in, the state the engine gets out, an event for each change.

The user's own state stays what the user made it; what is given up is laid over it on its way to the engine. A value
that is changed by hand while the daemon runs is left alone from then on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from daemon.deadline.concessions import Floors, Knob, levels, said, touched
from daemon.deadline.rule import Measurement, Stand, decide, held
from daemon.settings import DeadlineSettings
from pipeline.messages import Event, LiveState

BUILD_S: Final = 60.0


class DeadlineWatch:
    """Thread-safe. emit: hears of every change."""

    def __init__(
        self,
        settings: DeadlineSettings,
        state: LiveState,
        emit: Callable[[Event], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lock = threading.Lock()
        self._settings = settings
        self._own = state
        self._emit = emit
        self._clock = clock
        self._stand = Stand()
        self._pinned: frozenset[Knob] = frozenset()
        self._p99_ms: float | None = None
        self._reason = ""
        self._building_s: float | None = None  # since when

    def adopt(self, settings: DeadlineSettings) -> None:
        """Reloaded settings; another deadline starts from the user's own values, and pins nothing."""
        with self._lock:
            if settings != self._settings:
                self._settings, self._pinned = settings, frozenset()
                self._stand, self._reason = Stand(), ""

    def changed(self, state: LiveState) -> None:
        """The user's own state, after each of its changes."""
        with self._lock:
            moved = touched(self._own, state)
            self._own = state
            if moved and self._settings.fps > 0:
                self._pinned |= moved
                self._stand, self._reason = Stand(changed_s=self._clock()), ""

    def effective(self) -> LiveState:
        """What the engine gets: the user's state, less what is given up at present."""
        with self._lock:
            return self._effective()

    def measure(self, figures: dict[str, Any] | None, *, building: bool = False) -> bool:
        """One more `pipeline.frame_times` summary. True where the effective state has changed by it.

        building: a faster engine for the present shape is on its way. What the eager one takes meanwhile decides
        nothing, for a minute: giving up more would only have another engine built.
        """
        with self._lock:
            fps = self._settings.fps
            now = self._clock()
            self._building_s = (self._building_s or now) if building else None
            if self._building_s is not None and now - self._building_s < BUILD_S:
                self._stand = held(self._stand, now)
                return False
            if fps <= 0 or not figures or figures["p99"] is None:
                return False
            before, old = self._stand, self._effective()
            budget_ms = 1e3 / fps
            measured = Measurement(figures["p99"], figures["painted"], self._clock())
            self._p99_ms = measured.p99_ms
            self._stand = decide(before, measured, budget_ms, len(self._levels()) - 1)
            if self._stand.level == before.level:
                return False
            new = self._effective()
            down = self._stand.level > before.level
            compared = "over" if down else "well under"
            target = f"{budget_ms:.1f} ms of {fps:g} a second"
            self._reason = f"p99 of a frame {measured.p99_ms:.1f} ms, {compared} the {target}"
            given_up = said(self._own, new) or "everything as you set it"
            event = Event(
                "deadline",
                f"{'coarser' if down else 'finer'}: {given_up} ({self._reason})",
                {
                    "level": self._stand.level,
                    "lowest": len(self._levels()) - 1,
                    "p99_ms": measured.p99_ms,
                    "budget_ms": round(budget_ms, 2),
                    "before": _facts(old),
                    "after": _facts(new),
                },
            )
        self._emit(event)
        return True

    def status(self) -> dict[str, Any] | None:
        """Plain facts; None while no deadline is set."""
        with self._lock:
            if self._settings.fps <= 0:
                return None
            effective = self._effective()
            return {
                "fps": self._settings.fps,
                "level": self._stand.level,
                "lowest": len(self._levels()) - 1,
                "p99_ms": self._p99_ms,
                "budget_ms": round(1e3 / self._settings.fps, 2),
                "given_up": said(self._own, effective),
                "reason": self._reason,
                "left_alone": sorted(self._pinned),
                **_facts(effective),
            }

    def _effective(self) -> LiveState:
        found = self._levels()
        return found[min(self._stand.level, len(found) - 1)]

    def _levels(self) -> tuple[LiveState, ...]:
        options = self._settings
        if options.fps <= 0:
            return (self._own,)
        floors = Floors(options.least_threshold, options.least_steps, options.least_scale)
        return levels(self._own, floors, self._pinned)


def _facts(state: LiveState) -> dict[str, Any]:
    return {
        "similarity_threshold": round(state.similarity_threshold, 4),
        "steps": len(state.t_index_list),
        "canvas_scale": state.canvas_scale,
    }
