"""MIDI controllers: a knob moves a live value, a pad does an action, and a learned control is kept (docs/midi.md).

controls.py      what a message's control is called, and where it stands
integration.py   the port: found, waited for, drained; learning
"""

from __future__ import annotations

from importlib.util import find_spec

from integrations.control import Control
from integrations.integration import Integration
from integrations.midi.options import Options

__all__ = ["Options", "available", "create"]


def available(options: Options) -> str | None:
    """None, or why it cannot be used."""
    if find_spec("mido") is None:
        return "MIDI needs the packages mido and python-rtmidi; pip install 'phosphene[midi]'"
    return None


def create(options: Options, control: Control) -> Integration:
    """Not yet running."""
    from integrations.midi.integration import Midi

    return Midi(options, control)
