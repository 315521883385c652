"""An entry of the Startup folder: starts with the login, windowless. Written with care; untested on Windows.

A real Windows service runs in session 0, where there is no camera and no user's OBS; so it is not one.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

from pipeline.errors import PhospheneError

FILE: Final = "phosphene.vbs"
HIDDEN_WINDOW: Final = 0


def entry_path() -> Path:
    """Raises PhospheneError where there is no such folder."""
    base = os.environ.get("APPDATA")
    if not base:
        raise PhospheneError(
            "%APPDATA% is not set, so the Startup folder is not known", "log in as a desktop user"
        )
    return Path(base) / "Microsoft" / "Windows" / "Start Menu" / "Programs" / "Startup" / FILE


def entry_text(command: list[str]) -> str:
    """For the Windows Script Host: `Run` with window style 0 shows no console; False does not wait."""
    line = subprocess.list2cmdline(command).replace('"', '""')
    return (
        'Set shell = CreateObject("WScript.Shell")\r\n'
        'shell.Environment("Process")("PHOSPHENE_DETACHED") = "1"\r\n'
        f'shell.Run "{line}", {HIDDEN_WINDOW}, False\r\n'
    )


def install(command: list[str], now: bool) -> str:
    """Write the entry; returns what to say. Raises PhospheneError."""
    path = entry_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        entry_text(command), "utf-16", newline=""
    )  # the script host reads UTF-16 and ANSI, not UTF-8
    if now:
        getattr(os, "startfile")(path)  # noqa: B009 (exists on Windows alone)
        return f"wrote and started {path}"
    return f"wrote {path}; it starts with the next login"


def uninstall() -> str:
    """Remove the entry; returns what to say."""
    path = entry_path()
    if not path.exists():
        return f"there is no entry ({path})"
    path.unlink()
    return f"removed {path}; a running daemon goes on until: phosphene stop"
