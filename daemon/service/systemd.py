"""A systemd user unit: starts with the login, restarted after a crash, watched while it sends pictures."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from daemon import places
from daemon.exit_codes import ExitCode
from pipeline.errors import PhospheneError

NAME: Final = "phosphene.service"
MANAGER_S: Final = 20.0

UNIT: Final = """\
[Unit]
Description=Phosphene: a painted webcam
After=graphical-session.target pipewire.service
StartLimitIntervalSec=300
StartLimitBurst=5

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
WatchdogSec=15
TimeoutStartSec=60
TimeoutStopSec=10
KillMode=mixed
Restart=on-failure
RestartSec=2
# A configuration that cannot be used does not get better by trying again, nor does a daemon running already.
RestartPreventExitStatus={config} {already}
Environment=PYTHONUNBUFFERED=1

# What a program that reads a camera and paints needs, no more. The denoiser compiles and maps code, and GPUs
# and cameras are devices, so MemoryDenyWriteExecute and PrivateDevices stay off.
NoNewPrivileges=yes
UMask=0077
RestrictSUIDSGID=yes
RestrictRealtime=yes
RestrictNamespaces=yes
LockPersonality=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@mount @swap @reboot @raw-io @cpu-emulation @obsolete @privileged @module @debug @clock
SystemCallErrorNumber=EPERM

[Install]
WantedBy=default.target
"""


def unit_path() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "systemd" / "user" / NAME


def unit_text(command: list[str]) -> str:
    """The unit that runs `command`."""
    return UNIT.format(
        command=" ".join(map(quoted, command)),
        config=int(ExitCode.CONFIG),
        already=int(ExitCode.ALREADY_RUNNING),
    )


def quoted(word: str) -> str:
    """One word of an ExecStart line: in double quotes where needed; % and $ doubled."""
    word = word.replace("%", "%%").replace("$", "$$")
    if word and not set(word) & set(" \t\"'\\;"):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def install(command: list[str], now: bool) -> str:
    """Write the unit and enable it; returns what to say. Raises PhospheneError."""
    path = unit_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(unit_text(command), "utf-8")
    if not has_manager():
        return (
            f"wrote {path}; no systemd of this user runs here, so it is not enabled\n"
            f"  → after the next login: systemctl --user enable --now {NAME}"
        )
    _systemctl("daemon-reload")
    _systemctl("enable", *(["--now"] if now else []), NAME)
    return f"wrote and enabled {path}\n  → start it: systemctl --user start {NAME}"


def uninstall() -> str:
    """Stop, disable and remove the unit; returns what to say."""
    path = unit_path()
    if not path.exists():
        return f"there is no service ({path})"
    if has_manager():
        _systemctl("disable", "--now", NAME)
    path.unlink()
    if has_manager():
        _systemctl("daemon-reload")
    return f"removed {path}"


def has_manager() -> bool:
    """Whether this user's systemd can be reached."""
    return (
        shutil.which("systemctl") is not None
        and (places.runtime_folder().parent / "systemd" / "private").exists()
    )


def _systemctl(*words: str) -> None:
    try:
        done = subprocess.run(
            ["systemctl", "--user", *words], capture_output=True, text=True, timeout=MANAGER_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PhospheneError(f"systemctl --user {' '.join(words)}: {error}", "run it yourself") from None
    if done.returncode:
        raise PhospheneError(f"systemctl --user {' '.join(words)}: {done.stderr.strip()}", "run it yourself")
