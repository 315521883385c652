"""`phosphene obs status`: how OBS stands, and what of ours is in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from daemon.client import connect
from daemon.commands import show
from daemon.commands.obs.session import connected, record_file, wanted_for
from daemon.exit_codes import ExitCode, NotRunning
from daemon.settings import Settings, load
from integrations.obs.connection import Connection
from integrations.obs.errors import RefusedRequestError
from integrations.obs.kit import lua_script
from integrations.obs.kit.look import look
from integrations.obs.kit.plan import missing
from integrations.obs.kit.record import read_record
from integrations.obs.server import Server


def status(config: Path | None, as_json: bool) -> int:
    """Raises ObsError when OBS does not answer."""
    settings = load({}, config).settings
    with connected(settings) as (obs, server):
        facts = {**_facts(obs, server, settings), "daemon": _daemon()}
    if as_json:
        show.as_object(facts)
        return ExitCode.OK
    show.table(_rows(facts))
    return ExitCode.OK


def _facts(obs: Connection, server: Server, settings: Settings) -> dict[str, Any]:
    version = obs.request("GetVersion")
    studio = look(obs)
    wanted = wanted_for(settings, studio, None)
    record = read_record(record_file())
    script = record.script.path if record.script else None
    whole = sum(1 + len(scene.sources) for scene in wanted)
    lacking = missing(studio, wanted, record)
    return {
        "address": server.address,
        "password_from": server.password_from,
        "obs": version["obsVersion"],
        "obs_websocket": version["obsWebSocketVersion"],
        "platform": version.get("platformDescription") or version.get("platform", ""),
        "collection": studio.collection,
        "on_air": studio.on_air,
        "virtual_camera": _virtual_camera(obs),
        "installed": "yes" if not lacking else "no" if len(lacking) == whole else "partly",
        "missing": list(lacking),
        "script": script,
        "script_loaded": lua_script.HOTKEY in obs.request("GetHotkeyList")["hotkeys"],
    }


def _virtual_camera(obs: Connection) -> str:
    """Of OBS itself: on, off, or not available (on Linux without v4l2loopback)."""
    try:
        return "on" if obs.request("GetVirtualCamStatus")["outputActive"] else "off"
    except RefusedRequestError:
        return "not available"


def _daemon() -> dict[str, Any]:
    """What the running daemon says of its own connection."""
    try:
        found: dict[str, Any] = connect().get("/status").get("integrations", {}).get("obs", {})
        return {"running": True, **found}
    except NotRunning:
        return {"running": False}


def _rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    daemon, lacking = facts["daemon"], facts["missing"]
    installed = facts["installed"]
    if lacking:
        few = f", missing: {', '.join(lacking)}" if installed == "partly" and len(lacking) < 6 else ""
        installed += f"{few} → phosphene obs install"
    script = "loaded" if facts["script_loaded"] else "not written → phosphene obs install"
    if facts["script"] and not facts["script_loaded"]:
        script = f"not loaded → in OBS, Tools → Scripts → +, then choose {facts['script']}"
    said = "not running → phosphene start"
    if daemon["running"]:
        said = ", ".join(str(daemon[key]) for key in ("status", "detail", "error") if daemon.get(key)) or "?"
    return [
        ("OBS", f"{facts['obs']}, obs-websocket {facts['obs_websocket']}, {facts['platform']}"),
        (
            "at",
            facts["address"]
            + (f", password from {facts['password_from']}" if facts["password_from"] else ""),
        ),
        ("scenes", f"{facts['collection']}, on air: {facts['on_air']}"),
        ("OBS's virtual camera", facts["virtual_camera"]),
        ("installed", installed),
        ("hotkey script", script),
        ("daemon", said),
    ]
