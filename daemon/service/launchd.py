"""A launchd agent: starts with the login, restarted after a crash. Written with care; not tested on a Mac."""

from __future__ import annotations

import os
import plistlib
import subprocess
from pathlib import Path
from typing import Any, Final

from daemon import places
from pipeline.errors import PhospheneError

LABEL: Final = "org.phosphene.daemon"
MANAGER_S: Final = 20.0


def agent_path() -> Path:
    return Path.home() / "Library" / "LaunchAgents" / f"{LABEL}.plist"


def agent(command: list[str]) -> dict[str, Any]:
    """The property list that runs `command`.

    Interactive: macOS throttles background agents, and this one has a frame to deliver every 33 ms. Agents of
    a login session (LimitLoadToSessionType Aqua) may ask for the camera; the first start asks the user.
    """
    return {
        "Label": LABEL,
        "ProgramArguments": command,
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": 5,
        "ProcessType": "Interactive",
        "LimitLoadToSessionType": "Aqua",
        "EnvironmentVariables": {"PHOSPHENE_DETACHED": "1", "PYTHONUNBUFFERED": "1"},
        "StandardErrorPath": str(places.state_folder() / "start.log"),
        "Umask": 0o077,
    }


def install(command: list[str], now: bool) -> str:
    """Write the agent and load it; returns what to say. Raises PhospheneError."""
    path = agent_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(plistlib.dumps(agent(command)))
    if not now:
        return f"wrote {path}; it starts with the next login"
    _launchctl("bootstrap", _domain(), str(path))
    return f"wrote and started {path}\n  → state: launchctl print {_domain()}/{LABEL}"


def uninstall() -> str:
    """Stop and remove the agent; returns what to say."""
    path = agent_path()
    if not path.exists():
        return f"there is no service ({path})"
    loaded = subprocess.run(
        ["launchctl", "print", f"{_domain()}/{LABEL}"],
        capture_output=True,
        timeout=MANAGER_S,
    )
    if loaded.returncode == 0:
        _launchctl("bootout", f"{_domain()}/{LABEL}")
    path.unlink()
    return f"removed {path}"


def _domain() -> str:
    return f"gui/{getattr(os, 'getuid', int)()}"


def _launchctl(*words: str) -> None:
    try:
        done = subprocess.run(["launchctl", *words], capture_output=True, text=True, timeout=MANAGER_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PhospheneError(f"launchctl {' '.join(words)}: {error}", "run it yourself") from None
    if done.returncode:
        raise PhospheneError(f"launchctl {' '.join(words)}: {done.stderr.strip()}", "run it yourself")
