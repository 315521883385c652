"""Learning: the next control that moves on the MIDI controller is told to everybody, and bound where a target was
given. Bindings learned are kept in the style file."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from daemon.control import ControlHub
from integrations.bank import Bank, BindMidi
from integrations.knobs import parse_target
from integrations.midi.integration import Midi
from pipeline.errors import PhospheneError
from pipeline.messages import Event


class MidiLearn:
    """Thread-safe. running: the integration that runs now, or None."""

    def __init__(
        self, hub: ControlHub, bank: Bank, running: Callable[[], Any], status: Callable[[], dict[str, Any]]
    ) -> None:
        self._hub, self._bank, self._running, self._status = hub, bank, running, status
        self._target: str | None = None

    def facts(self) -> dict[str, Any]:
        """How MIDI stands, what is bound, and whether a control is being learned."""
        options = self._hub.settings.midi
        learning = getattr(self._running(), "learning", False)
        return {
            **self._status(),
            "enabled": options.enabled,
            "bind": dict(options.bind),
            "learning": learning,
            "target": self._target if learning else None,
        }

    def start(self, target: str | None, origin: str) -> None:
        """Wait for the next control. target: what it shall do; None: only tell which it was. Raises PhospheneError."""
        if target is not None:
            parse_target(target)
        midi = self._midi()
        self._target = target
        midi.learn(lambda control: self._learned(control, target, origin))

    def stop(self) -> None:
        midi = self._running()
        if isinstance(midi, Midi):
            midi.learn(None)

    def bind(self, control: str, target: str | None, origin: str) -> None:
        """target None: bound to nothing. Raises PhospheneError."""
        self._bank.change(BindMidi(control, target), origin)

    def _midi(self) -> Midi:
        midi = self._running()
        if not isinstance(midi, Midi):
            said = self._status()
            raise PhospheneError(
                said.get("error") or "MIDI is switched off",
                said.get("mend") or "set midi: {enabled: true} in config.yaml",
            )
        return midi

    def _learned(self, control: str, target: str | None, origin: str) -> None:
        """On the controller's thread, which must not wait for files."""
        data = {"control": control, "target": target}
        bound = f", bound to {target!r}" if target is not None else ""
        self._hub.emit(Event("midi", f"MIDI: {control} moved{bound}", data))
        if target is not None:
            threading.Thread(
                target=self._keep, args=(control, target, origin), name="midi-learn", daemon=True
            ).start()

    def _keep(self, control: str, target: str, origin: str) -> None:
        try:
            self.bind(control, target, origin)
        except PhospheneError as error:
            text = f"MIDI: {control} was not bound: {error.message}"
            self._hub.emit(Event("midi", text, {"mend": error.mend}, "error"))
