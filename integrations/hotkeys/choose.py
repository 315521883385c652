"""Which back end hears keys on this desktop, or why none does and what mends it."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

from integrations.hotkeys.backend import Backend
from integrations.hotkeys.options import BackendName
from pipeline.errors import PhospheneError

INSTALL = "pip install 'phosphene[hotkeys]'"
BY_HAND = (
    "bind `phosphene style NAME`, `phosphene panic` and so on in the desktop's own settings (docs/hotkeys.md)"
)

PACKAGES = {
    "x11": ("Xlib", INSTALL),
    "portal": ("jeepney", INSTALL),
    "pynput": ("pynput", INSTALL),
    "evdev": ("evdev", "pip install 'phosphene[evdev]'"),
}


def wayland() -> bool:
    return bool(os.environ.get("WAYLAND_DISPLAY")) or os.environ.get("XDG_SESSION_TYPE") == "wayland"


def chosen(wanted: BackendName) -> str:
    """The back end that `auto` means here; "" where there is no desktop."""
    if wanted != "auto":
        return wanted
    if sys.platform in ("win32", "darwin"):
        return "pynput"
    if wayland():
        return "portal"
    return "x11" if os.environ.get("DISPLAY") else ""


def unavailable(wanted: BackendName) -> str | None:
    """None, or one sentence with its mend after `; `. Asks nobody: a portal that is missing is found on connecting."""
    name = chosen(wanted)
    if not name:
        return f"there is no desktop session here that has keys (no DISPLAY, no WAYLAND_DISPLAY); {BY_HAND}"
    package, mend = PACKAGES[name]
    if find_spec(package) is None:
        return f"hotkeys by {name} need the package {package}; {mend}"
    if name == "x11" and not os.environ.get("DISPLAY"):
        return f"there is no X11 display here (DISPLAY is not set); {BY_HAND}"
    return None


def open_backend(wanted: BackendName) -> tuple[str, Backend]:
    """(name, back end). Raises PhospheneError with what mends it."""
    if (reason := unavailable(wanted)) is not None:
        what, _, mend = reason.partition("; ")
        raise PhospheneError(what, mend)
    name = chosen(wanted)
    if name == "x11":
        from integrations.hotkeys._x11 import X11Keys

        return name, X11Keys()
    if name == "portal":
        from integrations.hotkeys._portal import PortalKeys

        return name, PortalKeys()
    if name == "evdev":
        from integrations.hotkeys._evdev import EvdevKeys

        return name, EvdevKeys()
    from integrations.hotkeys._pynput import PynputKeys

    return name, PynputKeys()
