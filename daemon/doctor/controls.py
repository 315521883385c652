"""Hotkeys: whether they can be heard here, and which of them are taken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from daemon.client import connect
from daemon.doctor.finding import Finding, ok, warning
from daemon.exit_codes import NotRunning
from daemon.settings import Settings
from integrations.hotkeys.bindings import bindings
from integrations.hotkeys.choose import BY_HAND, chosen, open_backend
from pipeline.errors import PhospheneError

AREA = "hotkeys"
CHOOSE = "choose other keys (hotkeys.keys in config.yaml, or: phosphene styles edit NAME --hotkey KEYS)"


def check_hotkeys(settings: Settings) -> Iterator[Finding]:
    """Of the running daemon where there is one; else the keys are taken for a moment to see whether they can be."""
    tags = [{"name": name, "hotkey": style.hotkey} for name, style in settings.styles.items()]
    found = bindings(settings.hotkeys.keys, tags)
    for conflict in found.conflicts:
        yield warning(AREA, conflict, CHOOSE)
    if not settings.hotkeys.enabled:
        yield ok(AREA, "they are switched off")
        return
    if not found.actions:
        yield ok(AREA, "no keys are bound", "bind some: hotkeys: {keys: {ctrl+alt+p: panic}}")
        return
    if (running := _of_daemon()) is not None:
        yield from _said(running)
        return
    if chosen(settings.hotkeys.backend) == "portal":
        # Asking the portal would put a question to the desktop's user.
        yield ok(
            AREA, f"{len(found.actions)} keys; the desktop is asked for them when phosphene starts", BY_HAND
        )
        return
    try:
        name, backend = open_backend(settings.hotkeys.backend)
    except PhospheneError as error:
        yield warning(AREA, error.message, error.mend)
        return
    try:
        bound = backend.bind(found.actions)
    except PhospheneError as error:
        yield warning(AREA, error.message, error.mend)
        return
    finally:
        backend.close()
    for combination, problem in bound.problems.items():
        yield warning(AREA, f"{combination} ({found.actions[combination]}): {problem}", CHOOSE)
    yield ok(
        AREA, f"{len(found.actions) - len(bound.problems)} of {len(found.actions)} keys can be heard ({name})"
    )


def _of_daemon() -> dict[str, Any] | None:
    try:
        facts: dict[str, Any] = connect().get("/status")["integrations"]["hotkeys"]
    except (NotRunning, KeyError):
        return None
    return facts


def _said(facts: dict[str, Any]) -> Iterator[Finding]:
    for key in facts.get("keys", ()):
        if key["problem"]:
            yield warning(AREA, f"{key['keys']} ({key['action']}): {key['problem']}", CHOOSE)
    if facts["status"] == "failed":
        yield warning(AREA, facts["error"], facts["mend"] or "")
    else:
        yield ok(AREA, f"{facts['status']}: {facts['detail']}")
