"""Where OBS is to take the picture from: the virtual camera where there is one, else the daemon's stream."""

from __future__ import annotations

import socket
import sys
from typing import Any, Final

from daemon import places
from daemon.client import connect
from daemon.exit_codes import NotRunning
from daemon.settings import Settings
from integrations.obs.kit.studio import Studio
from integrations.obs.kit.wanted import Camera, Stream
from integrations.obs.server import Server
from integrations.web.auth import load_secret
from pipeline.errors import PhospheneError

LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
OBS_CAMERA: Final = "OBS Virtual Camera"
OBS_CAMERA_ON_MACOS: Final = "7626645E-4425-469E-9D8B-97E0FA59AC75"
"""The unique id of OBS's camera extension (OBS 30 and newer)."""


def choose(wish: str, settings: Settings, studio: Studio, server: Server) -> Camera | Stream:
    """wish: auto, camera or stream. Raises PhospheneError where neither, or not what was wished for, can be had."""
    facts = _running()
    here = server.host in LOOPBACK
    if wish != "stream" and here and (device := _camera(settings, studio, facts)):
        return Camera(device)
    if wish == "camera":
        raise PhospheneError(
            "there is no virtual camera that OBS could open",
            "see `phosphene doctor`, or use --picture stream",
        )
    return Stream(
        _base(settings, server, facts, here) + "/stream.jpegs?key=" + load_secret(places.stream_key_file())
    )


def _running() -> dict[str, Any] | None:
    try:
        facts: dict[str, Any] = connect().get("/status")
        return facts
    except NotRunning:
        return None


def _camera(settings: Settings, studio: Studio, facts: dict[str, Any] | None) -> str:
    """The device as OBS names it; "" where there is none."""
    chosen = [choice for choice in settings.sinks if choice.kind == "virtual_camera"]
    if studio.platform != "linux":
        name = OBS_CAMERA_ON_MACOS if studio.platform == "macos" else OBS_CAMERA
        return name if chosen else ""
    if sys.platform != "linux":
        return ""
    for sink in (facts or {}).get("sinks", []):
        if sink["kind"] == "virtual_camera" and sink["status"] == "open":
            return str(sink["detail"]).partition(",")[0]
    if facts is not None or not chosen:
        return ""
    from pipeline.sinks._loopback import choose as choose_loopback
    from pipeline.sinks._loopback import loopbacks

    device = getattr(chosen[0].options, "device", "auto")
    return choose_loopback(device) if loopbacks() else ""


def _base(settings: Settings, server: Server, facts: dict[str, Any] | None, here: bool) -> str:
    """Of the daemon's addresses, as OBS reaches it."""
    run = places.running() if facts is not None else None
    port = run.port if run else settings.web.port
    if not port:
        raise PhospheneError(
            "the port of the stream is not known yet", "start Phosphene first: phosphene start"
        )
    if here:
        return run.url if run else f"http://127.0.0.1:{port}"
    if settings.web.host in LOOPBACK:
        raise PhospheneError(
            f"OBS runs on another computer ({server.host}), and the stream is for this computer only",
            "set web.host: 0.0.0.0 (whoever has the address with its key can see the picture), start again",
        )
    host = settings.web.host if settings.web.host not in ("0.0.0.0", "::") else _address_towards(server)  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _address_towards(server: Server) -> str:
    """This computer's address on the way to OBS's. Nothing is sent."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            server.host, server.port, type=socket.SOCK_DGRAM
        )[0]
        with socket.socket(family, kind, proto) as probe:
            probe.connect(address)
            return str(probe.getsockname()[0])
    except OSError as error:
        raise PhospheneError(
            f"there is no way to {server.host}: {error.strerror}", "set web.host to this computer's address"
        ) from error
