"""The control hub: the one owner of the live state. Commands come in from every front end, events go out.

hub = ControlHub(loaded)             what runs is hub.state (LiveState) and hub.settings
hub.submit(SetStyle("neon"), "cli")  applied at once, whole, revision + 1
hub.on_state(take)                   take(state) on the submitter's thread, in order: for the pipeline
hub.reload()                         live values apply, the rest is named, a bad file changes nothing
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from daemon.config.errors import dotted
from daemon.config.live_keys import LIVE_KEYS
from daemon.config.plain_tree import ABSENT
from daemon.config.schema import applies_to, leaves
from daemon.config.style_settings import StyleSettings
from daemon.events import EventBus, Listener
from daemon.reduce import Bank, reduce
from daemon.settings import Loaded, Settings
from pipeline.errors import PhospheneError
from pipeline.messages import Command, Event, LiveState, PlayList, Redo, SetMode, SetValue, Undo, to_dict
from pipeline.options import Options

__all__ = ["LIVE_KEYS", "Bank", "ControlHub", "Reload", "reduce"]

log = logging.getLogger(__name__)

UNDO_STEPS = 64
SAME_GESTURE_S = 1.0
"""Changes of one value that follow each other faster are one step of undo (a slider being dragged)."""


@dataclass(frozen=True, slots=True)
class Reload:
    """What a new configuration did. live: keys that apply now. waiting: keys that need a restart."""

    live: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()

    def __str__(self) -> str:
        said = f"applied: {', '.join(self.live)}" if self.live else "no live value changed"
        return f"{said}; needs restart: {', '.join(self.waiting)}" if self.waiting else said


class ControlHub:
    """Implements `integrations.control.Control`. Thread-safe; no call waits for a listener."""

    def __init__(
        self,
        loaded: Loaded,
        *,
        status: Callable[[], dict[str, Any]] | None = None,
        prepare: Callable[[Sequence[str]], None] = lambda prompts: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`status`: the figures of the pipeline, merged into `status()`. prepare: hands prompts to the engine."""
        self._lock = threading.Lock()
        self._reloading = threading.Lock()
        self._bus = EventBus()
        self._clock = clock
        self._status = status
        self._prepare = prepare
        self._loaded = loaded
        self._settings = loaded.settings
        self._bank: Bank = self._settings.bank()
        self._state = self._settings.first_state()
        self._history: deque[LiveState] = deque(maxlen=UNDO_STEPS)
        self._undone: deque[LiveState] = deque(maxlen=UNDO_STEPS)
        self._gesture: tuple[str, str, float] = ("", "", 0.0)
        self._waiting: tuple[str, ...] = ()
        self.on_playlist: Callable[[PlayList, str], None] = _no_playlist
        self._state_takers: tuple[Callable[[LiveState], None], ...] = ()
        self._settings_takers: tuple[Callable[[Settings, frozenset[str]], None], ...] = ()

    # -- Control

    @property
    def state(self) -> LiveState:
        return self._state

    def submit(self, command: Command, origin: str) -> LiveState:
        """See `integrations.control.Control.submit`."""
        if isinstance(command, PlayList):
            self.on_playlist(command, origin)
            return self._state
        with self._lock:
            before = self._state
            back, forth = self._undone, self._history
            if isinstance(command, Undo):
                back, forth = forth, back
            stepping = isinstance(command, Undo | Redo)
            state = reduce(before, command, self._bank, back[-1] if stepping and back else None)
            if stepping:
                back.pop()
                forth.append(before)
            self._remember(before, command, origin)
            self._take(state)
            # Emitted under the lock so that events keep the order of revisions; `emit` only appends.
            self._bus.emit(_applied(command, state, origin))
        return state

    def prepare(self, prompts: Sequence[str]) -> None:
        """See `integrations.control.Control.prepare`."""
        self._prepare(prompts)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """See `integrations.control.Control.subscribe`. Listeners are called on the hub's own thread."""
        return self._bus.subscribe(listener)

    def status(self) -> dict[str, Any]:
        """The pipeline's figures, the state, and what waits for a restart."""
        state = self._state
        figures = self._status() if self._status is not None else {}
        return {
            **figures,
            "mode": state.mode.value,
            "style": state.style.name,
            "prompt": state.style.prompt,
            "revision": state.revision,
            "needs_restart": list(self._waiting),
            "state": to_dict(state),
        }

    def styles(self) -> list[dict[str, Any]]:
        tags = self._settings.styles
        return [{**to_dict(style), **_tags(tags.get(name))} for name, style in self._bank.items()]

    # -- for the daemon

    @property
    def settings(self) -> Settings:
        """The settings in force: what a reload could apply is in it, what needs a restart is not."""
        return self._settings

    @property
    def loaded(self) -> Loaded:
        """The configuration as last read, with where each value came from."""
        return self._loaded

    @property
    def bank(self) -> Bank:
        return self._bank

    def emit(self, event: Event) -> None:
        """Tell every listener; returns at once."""
        self._bus.emit(event)

    def recent_events(self) -> list[Event]:
        """The last ones, oldest first."""
        return self._bus.recent()

    def settle(self, timeout_s: float = 2.0) -> bool:
        """Wait until every event so far was delivered; False when that takes longer."""
        return self._bus.settle(timeout_s)

    def on_state(self, take: Callable[[LiveState], None]) -> None:
        """Call `take` with each new state, in order, before `submit` returns: the pipeline's hand-over.

        It runs under the hub's lock: it must return within microseconds, and neither submit nor emit from
        another thread that it waits for. One that raises is dropped with a log line.
        """
        with self._lock:
            self._state_takers += (take,)

    def on_settings(self, take: Callable[[Settings, frozenset[str]], None]) -> None:
        """Call `take` with the settings in force after a reload changed them, and their top-level keys.

        It runs on the reloading thread, without the hub's lock, after `on_state`.
        """
        self._settings_takers += (take,)

    def close(self) -> None:
        """Deliver the last events and end the thread that does."""
        self._bus.close()

    def override(self, key: str, value: Any, origin: str, event: Event) -> Reload:
        """As if the program had been started with this setting on its command line: it outlives reloads.

        Raises ConfigError; nothing has changed then.
        """
        with self._reloading:
            loaded = replace(self._loaded, overrides={**self._loaded.overrides, key: value}).again()
            return self.apply_settings(loaded, origin, event)

    # -- reload

    def reload(self, origin: str = "config") -> Reload:
        """Read the configuration again and apply what can be.

        On a fault nothing changes, an event says why, and the ConfigError is raised.
        """
        with self._reloading:
            try:
                loaded = self._loaded.again()
            except PhospheneError as error:
                message = f"the new configuration is not used, the old one stays: {error.message}"
                self.emit(Event("config", message, {"mend": error.mend}, "error"))
                raise
            return self.apply_settings(loaded, origin)

    def try_reload(self, origin: str = "config") -> Reload | None:
        """`reload` for callers that nobody waits for (a signal, a watched file): None where it failed."""
        try:
            return self.reload(origin)
        except PhospheneError:
            return None  # said by the event

    def apply_settings(self, loaded: Loaded, origin: str = "config", event: Event | None = None) -> Reload:
        """Take over what is live or a part can be restarted for; name the rest. Emits `event`, or one that says so."""
        old, new = self._settings, loaded.settings
        changed = changed_keys(old, new)
        live = tuple(key for key in changed if self._can_apply(key, old, new))
        waiting = tuple(key for key in changed if key not in live)
        self._loaded = loaded
        self._settings = _with_sections(old, new, live)
        self._waiting = waiting
        self.replace_bank(new.bank(), origin)
        with self._lock:
            state = _with_settings(self._state, new, live)
            if state != self._state:
                self._change(state, origin)
        for take in self._settings_takers:
            take(self._settings, frozenset(key.split(".")[0] for key in live))
        done = Reload(live, waiting)
        message = f"configuration reloaded: {done}"
        facts = {"live": live, "needs_restart": waiting}
        self.emit(event or Event("config", message, facts, "warning" if waiting else "info"))
        return done

    def change_bank(self, write: Callable[[Loaded], tuple[Loaded, Event]], origin: str) -> None:
        """Let `write` change the style file and take over what it read anew. Raises what `write` raises; nothing has
        changed then. Never at the same time as a reload."""
        with self._reloading:
            loaded, event = write(self._loaded)
            self.apply_settings(loaded, origin, event)

    def replace_bank(self, bank: Bank, origin: str = "config") -> None:
        """New styles. What changed of the style in use changes in the picture; what was set live stays."""
        with self._lock:
            name = self._state.style.name
            old, new = self._bank.get(name), bank.get(name)
            self._bank = dict(bank)
            if old is None or new is None or old == new:
                return
            keys = [key.field for key in LIVE_KEYS.values() if key.goes == "style"]
            changed = {k: getattr(new, k) for k in keys if getattr(new, k) != getattr(old, k)}
            self._change(
                replace(self._state, style=replace(self._state.style, **changed), morph_s=0.0), origin
            )

    @staticmethod
    def _can_apply(key: str, old: Settings, new: Settings) -> bool:
        section = key.split(".")[0]
        if section == "source":
            # Text-to-image is another way to run the engine, not another camera.
            return "noise" not in (old.source.kind, new.source.kind)
        return applies_to(Settings, key) == "live"

    # -- inside, under the lock

    def _change(self, state: LiveState, origin: str) -> None:
        state = replace(state, revision=self._state.revision + 1)
        self._take(state)
        self._bus.emit(
            Event("state", f"configuration changed {state.style.name or 'the style'}", _facts(state, origin))
        )

    def _take(self, state: LiveState) -> None:
        self._state = state
        for take in self._state_takers:
            if not _survives(take, state):
                self._state_takers = tuple(known for known in self._state_takers if known is not take)

    def _remember(self, before: LiveState, command: Command, origin: str) -> None:
        now = self._clock()
        last_key, last_origin, when = self._gesture
        key = command.key if isinstance(command, SetValue) else ""
        if isinstance(command, Undo | Redo | SetMode):
            self._gesture = ("", "", now)
            return
        if not (key and (key, origin) == (last_key, last_origin) and now - when < SAME_GESTURE_S):
            self._history.append(before)
        self._undone.clear()
        self._gesture = (key, origin, now)


# ---------------------------------------------------------------- values


def changed_keys(old: Settings, new: Settings) -> tuple[str, ...]:
    """Dotted keys that differ; a style or sink that came or went by its name or number alone."""
    was, now = ({leaf.path: leaf.value for leaf in leaves(of)} for of in (old, new))
    paths = [p for p in (*now, *(p for p in was if p not in now)) if was.get(p, ABSENT) != now.get(p, ABSENT)]
    return tuple(dict.fromkeys(dotted(p[:2] if p[0] in ("styles", "sinks") else p) for p in paths))


def _with_sections(old: Settings, new: Settings, keys: tuple[str, ...]) -> Settings:
    """`old` with the values of `new` at the dotted `keys`: a top-level one whole, `section.key` alone."""
    update: dict[str, Any] = {}
    for key in keys:
        section, _, inner = key.partition(".")
        part = update.get(section, getattr(old, section))
        if inner and isinstance(part, Options):
            inner = inner.partition(".")[0]
            update[section] = part.model_copy(update={inner: getattr(getattr(new, section), inner)})
        else:
            update[section] = getattr(new, section)
    return old.model_copy(update=update)


def _with_settings(state: LiveState, new: Settings, keys: tuple[str, ...]) -> LiveState:
    first = new.first_state()
    fields = {key.field: getattr(first, key.field) for key in LIVE_KEYS.values() if key.setting in keys}
    state = replace(state, **fields)
    return replace(state, style=first.style, blend=(), morph_s=0.0) if "style" in keys else state


def _tags(style: StyleSettings | None) -> dict[str, str]:
    """What the bank says of a style beside what the engine is told."""
    return {"colour": style.colour, "hotkey": style.hotkey} if style else {"colour": "", "hotkey": ""}


def _no_playlist(command: PlayList, origin: str) -> None:
    raise PhospheneError("there is no playlist here", "it runs in the daemon: phosphene start")


def _survives(take: Callable[[LiveState], None], state: LiveState) -> bool:
    try:
        take(state)
    except Exception:
        log.exception("dropped a taker of states that raised")
        return False
    return True


def _facts(state: LiveState, origin: str) -> dict[str, Any]:
    return {"revision": state.revision, "origin": origin, "state": to_dict(state)}


def _applied(command: Command, state: LiveState, origin: str) -> Event:
    said = {
        "style": f"style {state.style.name}",
        "step": f"style {state.style.name}",
        "random": f"style {state.style.name}",
        "look": f"look {state.style.name}",
        "blend": f"blend {state.style.name}",
        "prompt": "new prompt",
        "set": f"{getattr(command, 'key', '')} = {getattr(command, 'value', '')}",
        "mode": f"mode {state.mode.value}",
        "seeds": "seeds " + " ".join(f"{seed}:{weight:.2g}" for seed, weight in state.seeds),
        "undo": "undone",
        "redo": "done again",
    }[command.command]
    return Event("state", f"{said} ({origin})", {**_facts(state, origin), "command": to_dict(command)})
