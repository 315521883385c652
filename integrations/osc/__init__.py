"""OSC: TouchOSC, Max, Pure Data, QLab and the like drive the picture over UDP (docs/osc.md).

addresses.py     what each address does
integration.py   the socket
"""

from __future__ import annotations

from importlib.util import find_spec

from integrations.control import Control
from integrations.integration import Integration
from integrations.osc.options import Options

__all__ = ["Options", "available", "create"]


def available(options: Options) -> str | None:
    """None, or why it cannot be used."""
    if find_spec("pythonosc") is None:
        return "OSC needs the package python-osc; pip install 'phosphene[osc]'"
    return None


def create(options: Options, control: Control) -> Integration:
    """Not yet running."""
    from integrations.osc.integration import Osc

    return Osc(options, control)
