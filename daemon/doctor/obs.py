"""OBS: whether it can be talked to, and whether its own virtual camera stands in the way of ours."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Final

from daemon.doctor.finding import Finding, ok, warning
from daemon.settings import Settings
from integrations.obs.connection import Connection, open_connection
from integrations.obs.errors import AuthFailedError, ObsError, RefusedRequestError, UnreachableError
from integrations.obs.server import find_server
from pipeline.sinks._obs_camera import FREE_IT

AREA: Final = "OBS"
ANSWER_S: Final = 2.0


def check_obs(settings: Settings) -> Iterator[Finding]:
    """Nothing is wrong with having no OBS."""
    if not settings.obs.enabled:
        yield ok(AREA, "obs.enabled is false: OBS is not followed")
        return
    if find_spec("obsws_python") is None:
        yield warning(
            AREA, "obsws-python is not installed: OBS cannot be followed", "pip install obsws-python"
        )
        return
    server = find_server(settings.obs)
    try:
        with open_connection(server) as obs:
            version = obs.request("GetVersion", answer_s=ANSWER_S)
            yield ok(AREA, f"OBS {version['obsVersion']} answers at {server.address}")
            yield from clash(settings, camera_is_on(obs), sys.platform)
    except AuthFailedError as error:
        yield warning(AREA, error.message, error.mend)
    except UnreachableError as error:
        yield warning(AREA, error.message, error.mend) if error.mend else ok(AREA, error.message)
    except ObsError as error:
        yield warning(AREA, error.message, error.mend or "look at OBS: does it show a question?")


def camera_is_on(obs: Connection) -> bool:
    """Whether OBS's own virtual camera runs."""
    try:
        return bool(obs.request("GetVirtualCamStatus", answer_s=ANSWER_S)["outputActive"])
    except RefusedRequestError:
        return False  # there is none: on Linux without a free v4l2loopback device


def clash(settings: Settings, on: bool, platform: str) -> Iterator[Finding]:
    """On Windows and macOS OBS and we would write to one and the same camera. On Linux each has a device."""
    ours = any(choice.kind == "virtual_camera" for choice in settings.sinks)
    if on and ours and platform != "linux":
        yield warning(
            AREA, "OBS's own virtual camera is on, and it is the one that Phosphene writes to", FREE_IT
        )
