"""`phosphene styles`, `devices` and `validate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from daemon.commands import show
from daemon.devices import device_facts
from daemon.exit_codes import ExitCode


def devices(as_json: bool) -> int:
    """Every kind of source and sink: usable, or why not with its mend; cameras one by one."""
    facts = device_facts()
    if as_json:
        show.as_object(facts)
        return ExitCode.OK
    for title in ("sources", "sinks"):
        print(title)
        show.table([(f"  {kind['kind']}", kind["problem"] or "ready") for kind in facts[title]])
    print("cameras")
    rows = [
        (f"  {camera['path']}", camera["name"], camera["problem"] or camera["use"])
        for camera in facts["cameras"]
    ]
    show.table(rows or [("  none", "", "")])
    return ExitCode.OK


def validate(file: Path | None, everything: bool, as_json: bool) -> int:
    """Exit code 3 and every fault, or each value with its origin."""
    from daemon.config.effective import effective_facts
    from daemon.config.errors import ConfigError
    from daemon.settings import load

    try:
        loaded = load({}, file)
    except ConfigError as error:
        if not as_json:
            raise
        show.as_object({"valid": False, "problems": [problem.facts() for problem in error.problems]})
        return ExitCode.CONFIG
    facts = effective_facts(loaded)
    if as_json:
        show.as_object({"valid": True, **facts})
        return ExitCode.OK
    packaged = sum(
        1 for name in loaded.settings.styles if loaded.origin(("styles", name, "prompt")).layer == "default"
    )
    rows = [
        (
            value["key"],
            _shown(value["value"]),
            "" if value["layer"] == "default" else f"{value['layer']}: {value['where']}",
        )
        for value in facts["values"]
        if everything or not (value["key"].startswith("styles.") and value["layer"] == "default")
    ]
    print(f"valid: {facts['file'] or 'the packaged default (you have no configuration of your own)'}")
    show.table(rows)
    if packaged and not everything:
        print(f"and {packaged} packaged styles (--all shows them)")
    return ExitCode.OK


def _shown(value: Any) -> str:
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else text[:57] + "…"
