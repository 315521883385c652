"""`phosphene doctor`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from daemon.commands import show
from daemon.doctor.controls import check_hotkeys
from daemon.doctor.finding import Finding, Level, problem
from daemon.doctor.machine import check_desktop, check_machine, check_network
from daemon.doctor.obs import check_obs
from daemon.doctor.program import check_configuration, check_program
from daemon.doctor.video import check_cameras, check_virtual_camera
from daemon.exit_codes import ExitCode

MARKS: Final = {Level.OK: "ok", Level.WARNING: "!", Level.PROBLEM: "✗"}
CODES: Final = {Level.OK: ExitCode.OK, Level.WARNING: ExitCode.WARNINGS, Level.PROBLEM: ExitCode.PROBLEMS}


def doctor(config: Path | None, as_json: bool) -> int:
    """Every finding; the exit code says the worst."""
    findings = examine(config)
    worst = max(finding.level for finding in findings)
    if as_json:
        show.as_object({"worst": worst.name.lower(), "findings": [finding.facts() for finding in findings]})
        return CODES[worst]
    area = ""
    for finding in findings:
        if finding.area != area:
            area = finding.area
            print(area)
        print(f"  {MARKS[finding.level]:<2} {finding.message}")
        if finding.mend:
            print(f"     → {finding.mend}")
    counts = {level: sum(f.level is level for f in findings) for level in Level}
    print(f"{counts[Level.PROBLEM]} problems, {counts[Level.WARNING]} warnings")
    return CODES[worst]


def examine(config: Path | None) -> list[Finding]:
    """All checks; one that fails itself is a finding too."""
    findings, loaded = check_configuration(config)
    settings = loaded.settings if loaded else None
    checks: list[tuple[str, Callable[[], Iterable[Finding]]]] = [
        ("program", check_program),
        ("machine", check_machine),
        ("camera", lambda: check_cameras(settings)),
        ("virtual camera", lambda: check_virtual_camera(settings)),
        ("OBS", lambda: check_obs(settings) if settings else ()),
        ("network", lambda: check_network(settings) if settings else ()),
        ("desktop", check_desktop),
        ("hotkeys", lambda: check_hotkeys(settings) if settings else ()),
    ]
    for area, check in checks:
        findings += _checked(area, check)
    return findings


def _checked(area: str, check: Callable[[], Iterable[Finding]]) -> list[Finding]:
    found: list[Finding] = []
    try:
        found.extend(check())
    except OSError as error:
        found.append(problem(area, f"could not be checked: {error}"))
    return found
