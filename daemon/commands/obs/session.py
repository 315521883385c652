"""A connection to OBS for one command, made and given back by it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from daemon import places
from daemon.settings import Settings
from integrations.obs.connection import Connection, open_connection
from integrations.obs.errors import NotReadyError, UnreachableError
from integrations.obs.kit.studio import Studio
from integrations.obs.kit.wanted import Camera, Scene, Stream, Taste, kit
from integrations.obs.server import Server, find_server
from pipeline.errors import PhospheneError

READY_S: Final = 10.0
START_OBS: Final = (
    "start OBS 28 or newer, and there: Tools → WebSocket Server Settings → Enable WebSocket server"
)


def record_file() -> Path:
    """What was installed in OBS."""
    return places.state_folder() / "obs_installed.json"


@contextmanager
def connected(settings: Settings) -> Iterator[tuple[Connection, Server]]:
    """To the OBS of the settings, once it has loaded. Raises ObsError, with what mends it."""
    if find_spec("obsws_python") is None:
        raise PhospheneError("obsws-python is not installed", "pip install obsws-python")
    server = find_server(settings.obs)
    try:
        connection = open_connection(server)
    except UnreachableError as error:
        raise UnreachableError(error.message, error.mend or START_OBS) from None
    with connection as obs:
        _wait_until_loaded(obs)
        yield obs, server


def _wait_until_loaded(obs: Connection) -> None:
    deadline = time.monotonic() + READY_S
    while not _answers(obs):
        if time.monotonic() > deadline:
            raise NotReadyError("anything yet")
        time.sleep(0.2)


def _answers(obs: Connection) -> bool:
    try:
        obs.request("GetVersion")
    except NotReadyError:
        return False
    return True


def wanted_for(settings: Settings, studio: Studio, picture: Camera | Stream | None) -> tuple[Scene, ...]:
    """The kit for that OBS. picture: None where it does not matter, as for what is to be removed."""
    bank = tuple(settings.bank())
    taste = Taste(
        picture or Stream(""),
        bank,
        settings.obs.overlay,
        settings.style or next(iter(bank), ""),
    )
    return kit(taste, studio.canvas, studio.kinds, studio.platform)
