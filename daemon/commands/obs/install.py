"""`phosphene obs install` and `uninstall`. With --dry-run the same lines are printed, and nothing is done."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from daemon import places
from daemon.commands import show
from daemon.commands.obs.picture import choose
from daemon.commands.obs.session import connected, record_file, wanted_for
from daemon.exit_codes import ExitCode
from daemon.settings import load
from integrations.obs.connection import Connection
from integrations.obs.kit import lua_script
from integrations.obs.kit.carry_out import carry_out, forget
from integrations.obs.kit.look import look
from integrations.obs.kit.lua_script import ScriptStep
from integrations.obs.kit.plan import install_plan, uninstall_plan
from integrations.obs.kit.record import Record, read_record, write_record
from integrations.obs.kit.steps import Plan
from integrations.obs.kit.wanted import Camera


def install(config: Path | None, picture: str, dry_run: bool, as_json: bool) -> int:
    """What is missing of the kit, and the script. FAILED when OBS refused a part."""
    settings = load({}, config).settings
    with connected(settings) as (obs, server):
        studio = look(obs)
        source = choose(picture, settings, studio, server)
        wanted = wanted_for(settings, studio, source)
        record = read_record(record_file())
        plan = install_plan(studio, wanted, record)
        path = lua_script.script_path(places.config_folder() / "obs")
        script = lua_script.install_step(path, tuple(settings.bank()), record.script)
        refused = _do(obs, plan, studio.collection, script, dry_run)
        shared = studio.platform != "linux" and isinstance(source, Camera)
        loaded = lua_script.HOTKEY in obs.request("GetHotkeyList")["hotkeys"]
    hints = [] if dry_run else _hints(script, loaded)
    if shared:
        hints.append(
            "keep OBS's own virtual camera off: it is the one that Phosphene writes to (or: --picture stream)"
        )
    _print(studio.collection, plan, script, refused, hints, dry_run, as_json)
    return ExitCode.FAILED if refused else ExitCode.OK


def uninstall(config: Path | None, dry_run: bool, as_json: bool) -> int:
    """What `install` made in this scene collection, and the script once no other collection has anything."""
    settings = load({}, config).settings
    with connected(settings) as (obs, _):
        studio = look(obs)
        wanted = wanted_for(settings, studio, None)
        record = read_record(record_file())
        plan = uninstall_plan(studio, wanted, record)
        others = _others(record, studio.collection, studio.collections)
        script = None if others else lua_script.uninstall_step(record.script)
        refused = _do(obs, plan, studio.collection, script, dry_run)
        if not dry_run and not refused:
            left = forget(record_file(), look(obs), wanted)
            if script is not None and script.do == "keep":  # the user's from now on
                write_record(record_file(), dataclasses.replace(left, script=None))
    hints = (
        [f"also installed in: {', '.join(others)} (switch to it in OBS, and uninstall again)"]
        if others
        else []
    )
    if script is not None and script.do == "remove" and not dry_run:
        hints.append("if OBS lists phosphene.lua under Tools → Scripts: select it there and click −")
    _print(studio.collection, plan, script, refused, hints, dry_run, as_json)
    return ExitCode.FAILED if refused else ExitCode.OK


def _others(record: Record, collection: str, collections: Sequence[str]) -> list[str]:
    found = dict.fromkeys(made.collection for made in record.made)
    return [name for name in found if name != collection and name in collections]


def _do(
    obs: Connection, plan: Plan, collection: str, script: ScriptStep | None, dry_run: bool
) -> dict[str, str]:
    """Step → why OBS refused it."""
    if dry_run:
        return {}
    file = record_file()
    refused = {str(step): trouble for step, trouble in carry_out(obs, plan, collection, file) if trouble}
    if script is not None and script.do in ("write", "remove", "nothing"):
        kept = lua_script.do(script)
        if script.do != "nothing" or not script.path.exists():
            write_record(file, dataclasses.replace(read_record(file), script=kept))
    return refused


def _hints(script: ScriptStep, loaded: bool) -> list[str]:
    if loaded:
        return [
            "OBS has the script loaded" + ("; reload it: Tools → Scripts → ⟳" if script.do == "write" else "")
        ]
    return [
        f"load the hotkeys with two clicks: in OBS, Tools → Scripts → +, then choose {script.path}",
        "give them keys: in OBS, Settings → Hotkeys → Phosphene: …",
    ]


def _print(
    collection: str,
    plan: Plan,
    script: ScriptStep | None,
    refused: dict[str, str],
    hints: list[str],
    dry_run: bool,
    as_json: bool,
) -> None:
    changes = script is not None and script.do in ("write", "remove")
    lines = [*map(str, plan.steps), *([str(script)] if changes else [])]
    notes = [*plan.notes, *([script.why] if script is not None and script.why else [])]
    if as_json:
        facts: dict[str, Any] = {"collection": collection, "dry_run": dry_run, "steps": lines}
        show.as_object({**facts, "refused": refused, "notes": notes, "hints": hints})
        return
    print(f"in OBS's scene collection {collection!r}{'' if lines else ' nothing is to be done'}")
    for line in lines:
        print(f"  {line}{f': NOT DONE, {refused[line]}' if line in refused else ''}")
    for note in notes:
        print(f"  ! {note}")
    for hint in hints:
        print(f"  → {hint}")
    if lines and dry_run:
        print("nothing of this has been done (--dry-run)")
