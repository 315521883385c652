"""`phosphene install-service` and `uninstall-service`."""

from __future__ import annotations

import plistlib
import sys

from daemon.commands.background import command_line
from daemon.exit_codes import ExitCode
from daemon.service import launchd, systemd, windows


def install(now: bool, dry_run: bool) -> int:
    """For the system this runs on."""
    command = command_line([])
    if dry_run:
        path, text = _planned(command)
        print(f"# {path}\n{text}", end="")
        return ExitCode.OK
    if sys.platform == "win32":
        print(windows.install(command, now))
    elif sys.platform == "darwin":
        print(launchd.install(command, now))
    else:
        print(systemd.install(command, now))
    return ExitCode.OK


def uninstall() -> int:
    """What `install` wrote, and nothing else."""
    if sys.platform == "win32":
        print(windows.uninstall())
    elif sys.platform == "darwin":
        print(launchd.uninstall())
    else:
        print(systemd.uninstall())
    return ExitCode.OK


def _planned(command: list[str]) -> tuple[str, str]:
    if sys.platform == "win32":
        return str(windows.entry_path()), windows.entry_text(command)
    if sys.platform == "darwin":
        return str(launchd.agent_path()), plistlib.dumps(launchd.agent(command)).decode()
    return str(systemd.unit_path()), systemd.unit_text(command)
