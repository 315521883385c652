"""Listens to one controller: waits for it, drains it in short turns, and learns a control where it is asked to."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from itertools import islice
from typing import Any, Final

from integrations.control import Control
from integrations.knobs import Knob, Target, parse_target
from integrations.midi.controls import HALF, Moved, moved
from integrations.midi.options import Options
from pipeline.errors import PhospheneError
from pipeline.messages import Command

log = logging.getLogger(__name__)

TURN_S: Final = 0.01  # a knob's messages of one turn become one command
LOOK_S: Final = 2.0  # for a controller that is not there (any more)
MOST: Final = 500  # messages of one turn; the rest waits for the next, a panic pad behind it too

Learned = Callable[[str], None]


class Midi:
    """Implements `integrations.integration.Integration`."""

    def __init__(self, options: Options, control: Control) -> None:
        self._options, self._control = options, control
        self._targets: dict[str, Target] = {name: parse_target(text) for name, text in options.bind.items()}
        self._positions: dict[str, float] = {}
        self._port_name = ""
        self._there: tuple[str, ...] = ()
        self._heard = 0
        self._last = ""
        self._error: PhospheneError | None = None
        self._learned: Learned | None = None

    def learn(self, learned: Learned | None) -> None:
        """Hand over the name of the next control that moves, once, instead of doing what it is bound to. None: stop."""
        self._learned = learned

    @property
    def learning(self) -> bool:
        return self._learned is not None

    def run(self, halt: threading.Event) -> None:
        while not halt.is_set():
            name = self._find()
            if name is None:
                halt.wait(LOOK_S)
            else:
                self._listen(name, halt)

    def status(self) -> dict[str, Any]:
        error, there = self._error, ", ".join(self._there) or "none is connected"
        waits = f"no controller{'' if self._options.port == 'auto' else f' named {self._options.port!r}'} ({there})"
        return {
            "status": "listening" if self._port_name else "waiting",
            "detail": self._port_name or waits,
            "controllers": list(self._there),
            "last": self._last,
            "learning": self.learning,
            "heard": self._heard,
            "error": error.message if error else None,
            "mend": error.mend if error else None,
        }

    # ------------------------------------------------------------ inside

    def _find(self) -> str | None:
        import mido

        try:
            self._there = tuple(dict.fromkeys(mido.get_input_names()))
        except (OSError, ImportError, RuntimeError) as error:  # no ALSA sequencer, no rtmidi, …
            raise PhospheneError(
                f"MIDI cannot be used here: {str(error)[:200] or type(error).__name__}",
                "pip install 'phosphene[midi]'; on Linux: sudo modprobe snd-seq",
            ) from None
        if self._options.port == "auto":
            # ALSA's own loop is always there and is no controller.
            return next((name for name in self._there if not name.startswith("Midi Through")), None)
        wanted = self._options.port.casefold()
        return next((name for name in self._there if wanted in name.casefold()), None)

    def _listen(self, name: str, halt: threading.Event) -> None:
        import mido

        try:
            port = mido.open_input(name)
        except (OSError, RuntimeError) as error:
            self._error = PhospheneError(
                f"{name} cannot be opened: {error}", "close other programs that use it"
            )
            halt.wait(LOOK_S)
            return
        self._port_name, self._error = name, None
        looked = time.monotonic()
        try:
            while not halt.is_set():
                self._turn(port)
                if time.monotonic() - looked > LOOK_S:
                    looked = time.monotonic()
                    if name not in mido.get_input_names():
                        log.warning("MIDI: %s has gone; waiting for it", name)
                        return
                halt.wait(TURN_S)
        finally:
            self._port_name = ""
            port.close()

    def _turn(self, port: Any) -> None:
        """Everything that has come in: of each knob its last position, of each pad every press."""
        knobs: dict[str, Command] = {}
        commands: list[Command] = []
        count = 0
        for message in islice(port.iter_pending(), MOST):
            if (heard := moved(message)) is None:
                continue
            count += 1
            self._last = heard.names[0]
            target = self._target(heard)
            if isinstance(target, Knob):
                knobs[heard.name] = target.at(heard.position)
            elif target is not None and self._acts(heard):
                commands.append(target)
            self._positions[heard.names[0]] = heard.position
        for command in (*commands, *knobs.values()):
            self._submit(command)
        self._heard += count  # what is counted is done

    def _target(self, heard: Moved) -> Target | None:
        if (learned := self._learned) is not None and (heard.pressed or not heard.name.startswith("note")):
            self._learned = None
            learned(heard.name)
            return None
        return next((self._targets[name] for name in heard.names if name in self._targets), None)

    def _acts(self, heard: Moved) -> bool:
        """Whether an action is due: a pad went down, or a knob passed the middle from below."""
        before = self._positions.get(heard.names[0], 0.0)
        return heard.pressed or (heard.name.startswith(("cc", "pitch")) and before < HALF <= heard.position)

    def _submit(self, command: Command) -> None:
        try:
            self._control.submit(command, "midi")
            self._error = None
        except PhospheneError as error:
            self._error = error
            log.warning("MIDI: %s", error.message)
