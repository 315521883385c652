"""OBS Studio: its scenes, transitions, hotkeys and tools switch the picture, live.

server.py, own_config.py       where OBS is, and its password
connection.py                  one conversation with it
integration.py                 comes back for ever, and says how it stands
session.py                     what goes on while connected: one thread, several parts (part.py)
"""

from __future__ import annotations

from importlib.util import find_spec

from integrations.control import Control
from integrations.integration import Integration, IntegrationOptions
from integrations.obs.options import Options

__all__ = ["Options", "available", "create"]


def available(options: IntegrationOptions) -> str | None:
    """None, or why it cannot be used."""
    if find_spec("obsws_python") is None:
        return "obsws-python is not installed; pip install obsws-python"
    return None


def create(options: Options, control: Control) -> Integration:
    """Not yet running."""
    from integrations.obs.custom_events import CustomEvents
    from integrations.obs.follower import Follower
    from integrations.obs.integration import ObsIntegration
    from integrations.obs.lip_sync import LipSync
    from integrations.obs.overlay import Overlay
    from integrations.obs.switches import Switches

    parts = (
        Follower(options, control),
        Switches(options, control),
        CustomEvents(control),
        Overlay(options, control),
        LipSync(options, control),
    )
    return ObsIntegration(options, control, parts)
