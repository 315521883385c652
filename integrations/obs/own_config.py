"""OBS's own settings of its WebSocket server, where they can be read: nobody has to copy a password."""

from __future__ import annotations

import configparser
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class OwnConfig:
    """What OBS's file says. enabled: whether the server is on. password: "" where none is asked for."""

    file: Path
    enabled: bool
    port: int
    password: str = field(repr=False)


def folders(environment: Mapping[str, str] | None = None) -> Iterator[Path]:
    """Where OBS may keep its settings on this system, likeliest first."""
    env = os.environ if environment is None else environment
    home = Path(env.get("HOME") or Path.home())
    if sys.platform == "win32":
        yield Path(env.get("APPDATA", home / "AppData" / "Roaming")) / "obs-studio"
    elif sys.platform == "darwin":
        yield home / "Library" / "Application Support" / "obs-studio"
    else:
        yield Path(env.get("XDG_CONFIG_HOME") or home / ".config") / "obs-studio"
        yield home / ".var" / "app" / "com.obsproject.Studio" / "config" / "obs-studio"
        yield home / "snap" / "obs-studio" / "current" / ".config" / "obs-studio"


def own_config(environment: Mapping[str, str] | None = None) -> OwnConfig | None:
    """The first that can be read; None where there is none. Never raises: it is a convenience."""
    for folder in folders(environment):
        # From obs-websocket 5.5 (OBS 30.2) on a file of its own; before, a section of OBS's global one.
        for read in (_json, _ini):
            if (found := read(folder)) is not None:
                return found
    return None


def _json(folder: Path) -> OwnConfig | None:
    file = folder / "plugin_config" / "obs-websocket" / "config.json"
    try:
        data: Any = json.loads(file.read_text("utf-8"))
        return OwnConfig(
            file,
            bool(data["server_enabled"]),
            int(data["server_port"]),
            str(data["server_password"]) if data.get("auth_required", True) else "",
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _ini(folder: Path) -> OwnConfig | None:
    file = folder / "global.ini"
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        parser.read_string(file.read_text("utf-8-sig"))
        section = parser["OBSWebSocket"]
        return OwnConfig(
            file,
            section.getboolean("ServerEnabled", False),
            section.getint("ServerPort", 4455),
            _unescaped(section.get("ServerPassword") or "")
            if section.getboolean("AuthRequired", True)
            else "",
        )
    except (OSError, ValueError, KeyError, configparser.Error):
        return None


def _unescaped(value: str) -> str:
    """As libobs reads a value: \\\\, \\n and \\r are escaped, nothing else is."""
    return re.sub(r"\\([\\nr])", lambda found: {"n": "\n", "r": "\r"}.get(found[1], "\\"), value)
