"""Binds the keys, does what they stand for, binds anew when the styles change, and says how it stands."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import Any

from integrations.actions import parse_action
from integrations.control import Control
from integrations.hotkeys.backend import Bound
from integrations.hotkeys.bindings import Bindings, bindings
from integrations.hotkeys.choose import open_backend
from integrations.hotkeys.keys import Combination
from integrations.hotkeys.options import Options
from pipeline.errors import PhospheneError
from pipeline.messages import Event

log = logging.getLogger(__name__)


class Hotkeys:
    """Implements `integrations.integration.Integration`."""

    def __init__(self, options: Options, control: Control) -> None:
        self._options, self._control = options, control
        self._wake = threading.Event()  # something is to be looked at: an end, or other keys
        self._name = ""
        self._bindings = Bindings({})
        self._bound = Bound({})
        self._last: deque[str] = deque(maxlen=1)  # what a key could not do

    def run(self, halt: threading.Event) -> None:
        unsubscribe = self._control.subscribe(self._on_event)
        ender = threading.Thread(target=self._pass_on, args=(halt,), name="hotkeys-end", daemon=True)
        ender.start()
        try:
            while not halt.is_set():
                self._wake.clear()
                if halt.is_set():
                    return
                self._bindings = self._wanted()
                if self._bindings.actions:
                    self._listen(halt)
                else:
                    self._wake.wait()
        finally:
            unsubscribe()

    def status(self) -> dict[str, Any]:
        found, bound = self._bindings, self._bound
        keys = [
            {"keys": str(combination), "action": action, "problem": bound.problems.get(combination)}
            for combination, action in found.actions.items()
        ]
        troubles = [f"{entry['keys']}: {entry['problem']}" for entry in keys if entry["problem"]]
        troubles += found.conflicts
        facts: dict[str, Any] = {"backend": self._name, "keys": keys, "conflicts": list(found.conflicts)}
        if not found.actions:
            return {**facts, "status": "idle", "detail": "no keys are bound", "error": None, "mend": None}
        working = len(keys) - sum(1 for entry in keys if entry["problem"])
        return {
            **facts,
            "status": "listening" if self._name else "starting",
            "detail": f"{working} of {len(keys)} keys, {bound.detail or self._name}",
            "error": "; ".join(troubles) or (self._last[0] if self._last else None),
            "mend": "choose other keys (hotkeys.keys, or the style's hotkey)" if troubles else None,
        }

    # ------------------------------------------------------------ inside

    def _listen(self, halt: threading.Event) -> None:
        """One back end for as long as it lives; binds anew each time it is woken."""
        self._name, backend = open_backend(self._options.backend)
        try:
            while not halt.is_set() and self._bindings.actions:
                self._bound = backend.bind(dict(self._bindings.actions))
                for combination, problem in self._bound.problems.items():
                    log.warning("hotkey %s: %s", combination, problem)
                for conflict in self._bindings.conflicts:
                    log.warning("hotkey %s", conflict)
                while not halt.is_set():
                    backend.serve(self._wake, self._pressed)
                    self._wake.clear()
                    if (wanted := self._wanted()) != self._bindings:
                        self._bindings = wanted
                        break
        finally:
            self._name, self._bound = "", Bound({})
            backend.close()

    def _wanted(self) -> Bindings:
        return bindings(self._options.keys, self._control.styles())

    def _pressed(self, combination: Combination) -> None:
        action = self._bindings.actions.get(combination)
        if action is None:
            return
        try:
            self._control.submit(parse_action(action), "hotkey")
            self._last.clear()
        except PhospheneError as error:
            self._last.append(f"{combination} ({action}): {error.message}")
            log.warning("hotkey %s (%s): %s", combination, action, error.message)

    def _on_event(self, event: Event) -> None:
        if event.kind in ("styles", "config"):
            self._wake.set()

    def _pass_on(self, halt: threading.Event) -> None:
        halt.wait()
        self._wake.set()
