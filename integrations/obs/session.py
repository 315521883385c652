"""One connected stretch of time: events go to every part, in order, and each part is called when it is due."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from integrations.obs.connection import Connection
from integrations.obs.errors import LostError, NotReadyError, RefusedRequestError
from integrations.obs.inbox import Ended, Inbox, Item
from integrations.obs.part import Part
from pipeline.messages import Event

log = logging.getLogger(__name__)

SLICE_S: Final = 0.2  # how soon the thread sees that it is asked to end
CHANGING_S: Final = 30.0  # at most, for OBS to load another scene collection
HEARTBEAT_S: Final = 1.0
LEAVE_S: Final = 0.5  # for what is undone at the end


def run_session(
    obs: Connection,
    parts: Sequence[Part],
    inbox: Inbox,
    halt: threading.Event,
    ready: Callable[[bool], None],
) -> None:
    """Until `halt` is set or OBS quits. `ready(False)`: OBS answers nothing for now. Raises LostError."""
    session = _Session(obs, parts, inbox, halt, ready)
    session.run()


class _Session:
    def __init__(
        self,
        obs: Connection,
        parts: Sequence[Part],
        inbox: Inbox,
        halt: threading.Event,
        ready: Callable[[bool], None],
    ) -> None:
        self._obs, self._parts, self._inbox, self._halt, self._ready = obs, parts, inbox, halt, ready
        self._quitting = False
        self._loaded = False  # whether requests may be made
        self._changing_since: float | None = None
        self._kept: list[Event] = []
        self._dropped = inbox.dropped
        self._due = [0.0 for _ in parts]
        self._beat = 0.0

    def run(self) -> None:
        while not self._halt.is_set() and not self._quitting:
            if self._may_ask():
                self._tick()
            item = self._inbox.take(self._wait_s())
            if item is not None:
                self._deal_with(item)
            if not self._obs.alive and not self._quitting:
                raise LostError("OBS closed the connection")
            if self._inbox.dropped != self._dropped:
                self._dropped = self._inbox.dropped
                self._loaded = False  # something was missed: begin anew
        if not self._quitting and self._loaded and self._obs.alive:
            self._obs.last_words(LEAVE_S)
            self._each(lambda part: part.leave(self._obs))

    # ------------------------------------------------------------ whether OBS can be asked

    def _may_ask(self) -> bool:
        """OBS may crash when it is asked anything while it changes its scene collection."""
        if self._changing_since is not None:
            if time.monotonic() - self._changing_since < CHANGING_S:
                return False
            self._changing_since = None
        if not self._loaded:
            try:
                self._obs.request("GetSceneList")
                self._loaded = True
                self._due = [0.0 for _ in self._parts]
                self._each(lambda part: part.begin(self._obs))
                for event in self._kept:
                    self._each(lambda part, event=event: part.told(self._obs, event))  # type: ignore[misc]
                self._kept.clear()
            except (NotReadyError, RefusedRequestError):
                self._loaded = False
        self._ready(self._loaded)
        return self._loaded

    def _deal_with(self, item: Item) -> None:
        if isinstance(item, Ended):
            return  # `alive` tells
        if isinstance(item, Event):
            if self._loaded and self._changing_since is None:
                self._each(lambda part: part.told(self._obs, item))
            else:
                self._kept = [*self._kept[-99:], item]
            return
        if item.name == "ExitStarted":
            self._quitting = True
        elif item.name == "CurrentSceneCollectionChanging":
            self._changing_since = time.monotonic()
        elif item.name == "CurrentSceneCollectionChanged":
            self._changing_since, self._loaded = None, False
        elif self._loaded and self._changing_since is None:
            self._each(lambda part: part.heard(self._obs, item.name, item.data))

    # ------------------------------------------------------------ time

    def _tick(self) -> None:
        now = time.monotonic()
        for index, part in enumerate(self._parts):
            if self._due[index] <= now:
                self._due[index] = now + 1.0  # kept where the part's request is refused
                self._one(part, index)
        if now >= self._beat:
            self._beat = now + HEARTBEAT_S
            try:
                self._obs.request("GetStudioModeEnabled")  # the cheapest: a hung OBS is noticed by it
            except (NotReadyError, RefusedRequestError):
                self._loaded = False

    def _one(self, part: Part, index: int) -> None:
        def tick(part: Part) -> None:
            self._due[index] = time.monotonic() + part.tick(self._obs, time.monotonic())

        self._guarded(part, tick)

    def _wait_s(self) -> float:
        if not self._loaded or self._changing_since is not None:
            return SLICE_S
        return min(SLICE_S, min(self._due, default=SLICE_S + time.monotonic()) - time.monotonic())

    # ------------------------------------------------------------ parts

    def _each(self, call: Callable[[Part], None]) -> None:
        for index, part in enumerate(self._parts):
            self._guarded(part, call)
            self._due[index] = min(self._due[index], time.monotonic())

    def _guarded(self, part: Part, call: Callable[[Part], None]) -> None:
        try:
            call(part)
        except RefusedRequestError as error:
            log.info("%s: %s", type(part).__name__, error.message)
        except NotReadyError:
            self._loaded = False
