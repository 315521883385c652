"""Global hotkeys: keys that work whatever window is in front.

keys.py, bindings.py         what is bound, and where two actions want one key
choose.py                    which back end this desktop has, or why none
_x11.py _portal.py           Linux: X11; Wayland through the GlobalShortcuts portal
_pynput.py _evdev.py         Windows and macOS; raw keyboards, only where it is asked for
integration.py               binds, binds anew when styles change, and says how it stands
"""

from __future__ import annotations

from integrations.control import Control
from integrations.hotkeys.options import Options
from integrations.integration import Integration

__all__ = ["Options", "available", "create"]


def available(options: Options) -> str | None:
    """None, or why it cannot be used. Without a single key there is nothing that could fail."""
    from integrations.hotkeys.choose import unavailable

    return unavailable(options.backend) if options.keys else None


def create(options: Options, control: Control) -> Integration:
    """Not yet running."""
    from integrations.hotkeys.integration import Hotkeys

    return Hotkeys(options, control)
