"""Runs the integrations that are enabled, each on a thread of its own, and starts again what has ended."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any, Final

from daemon.settings import Settings
from integrations.control import Control
from integrations.integration import Integration, IntegrationOptions
from pipeline.errors import PhospheneError
from pipeline.messages import Event

log = logging.getLogger(__name__)

FIRST_S: Final = 0.5
MOST_S: Final = 30.0
CALM_S: Final = 60.0  # a run of this length starts the back-off over
END_S: Final = 1.0

Find = Callable[[str], ModuleType]


def sections(settings: Settings) -> dict[str, IntegrationOptions]:
    """Every integration's section by its name, which is its module's in `integrations/` too."""
    found = {name: getattr(settings, name) for name in type(settings).model_fields}
    return {name: options for name, options in found.items() if isinstance(options, IntegrationOptions)}


def _module(name: str) -> ModuleType:
    return import_module(f"integrations.{name}")


class IntegrationThreads:
    """All integrations of one daemon. `watch` is called from one thread, the rest from any."""

    def __init__(
        self, settings: Settings, control: Control, emit: Callable[[Event], None], find: Find = _module
    ) -> None:
        self._lives = {name: _Life(name, find, control, emit) for name in sections(settings)}
        self.adopt(settings)

    def adopt(self, settings: Settings) -> None:
        """With the next tick: start, end or start anew what the settings ask for; the rest goes on."""
        for name, options in sections(settings).items():
            self._lives[name].want(options)

    def watch(self) -> None:
        """The tick, several times a second: a thread that has died, however it died, is started again in time."""
        for life in self._lives.values():
            life.watch()

    def ask_to_end(self) -> None:
        """All of them, for good; `watch` must not be called again."""
        for life in self._lives.values():
            life.ask_to_end()

    def join(self, timeout_s: float = END_S) -> None:
        """Wait until they have ended, at most so long all together."""
        deadline = time.monotonic() + timeout_s
        for life in self._lives.values():
            life.join(max(0.0, deadline - time.monotonic()))

    def running(self, name: str) -> Integration | None:
        """The one that runs now under that section's name."""
        life = self._lives.get(name)
        return life.running if life is not None else None

    def status(self) -> dict[str, dict[str, Any]]:
        return {name: life.status() for name, life in self._lives.items()}


class _Life:
    """One integration through all its restarts."""

    def __init__(self, name: str, find: Find, control: Control, emit: Callable[[Event], None]) -> None:
        self._name, self._find, self._control, self._emit = name, find, control, emit
        self._wanted = IntegrationOptions()
        self._options: IntegrationOptions = self._wanted
        self._thread: threading.Thread | None = None
        self._halt = threading.Event()
        self._running: Integration | None = None
        self._error: PhospheneError | None = None
        self._ended_well = False
        self._began = 0.0
        self._again_at = 0.0
        self._attempt = 0
        self.restarts = 0

    def want(self, options: IntegrationOptions) -> None:
        self._wanted = options

    def watch(self) -> None:
        now = time.monotonic()
        if self._wanted != self._options:
            self._options = self._wanted
            self.ask_to_end()
            self._error, self._attempt, self._again_at = None, 0, 0.0
        options = self._options
        if self._thread is not None:
            if self._thread.is_alive():
                return
            self._thread = None
            if not self._halt.is_set():
                self._died(now)
        if not options.enabled or now < self._again_at:
            return
        self._halt, self._ended_well, self._began = threading.Event(), False, now
        self._thread = threading.Thread(
            target=self._live, args=(options, self._halt), name=self._name, daemon=True
        )
        self._thread.start()

    @property
    def running(self) -> Integration | None:
        return self._running

    def ask_to_end(self) -> None:
        self._halt.set()

    def join(self, timeout_s: float) -> None:
        if self._thread is not None:
            self._thread.join(timeout_s)

    def status(self) -> dict[str, Any]:
        options, running, error = self._options, self._running, self._error
        if not options.enabled:
            return {"status": "off", "restarts": self.restarts}
        facts: dict[str, Any] = {"status": "starting", "detail": "", "error": None, "mend": None}
        if error is not None:
            facts |= {"status": "failed", "error": error.message, "mend": error.mend}
        elif running is not None:
            facts |= running.status()
        return {**facts, "restarts": self.restarts}

    def _live(self, options: IntegrationOptions, halt: threading.Event) -> None:
        try:
            module = self._find(self._name)
            if (reason := module.available(options)) is not None:
                what, _, mend = reason.partition("; ")
                raise PhospheneError(what, mend)
            self._running = module.create(options, self._control)
            self._error = None
            self._running.run(halt)
            self._ended_well = True
        except PhospheneError as error:
            self._failed(error)
        except Exception as error:
            log.exception("%s ended by an error", self._name)
            self._failed(PhospheneError(f"unforeseen {type(error).__name__}: {error}"))
        finally:
            self._running = None

    def _failed(self, error: PhospheneError) -> None:
        """Said once for each new reason, not once for each attempt."""
        if self._error is None or self._error.message != error.message:
            data = {"integration": self._name, "status": "failed", "mend": error.mend}
            self._emit(Event("integration", f"{self._name}: {error.message}", data, "warning"))
        self._error = error

    def _died(self, now: float) -> None:
        self.restarts += 1
        if self._error is None and not self._ended_well:
            self._failed(PhospheneError("its thread ended without a word"))
        self._attempt = 0 if now - self._began > CALM_S else self._attempt + 1
        self._again_at = now + min(MOST_S, FIRST_S * 2.0 ** (self._attempt - 1)) * random.uniform(0.9, 1.1)
