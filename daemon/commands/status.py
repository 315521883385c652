"""`phosphene status`."""

from __future__ import annotations

from typing import Any

from daemon.client import connect
from daemon.commands import show
from daemon.exit_codes import ExitCode, NotRunning


def status(as_json: bool) -> int:
    """Ask the daemon; not running is an answer too, with an exit code of its own."""
    try:
        facts = connect().get("/status")
    except NotRunning as error:
        if not as_json:
            raise
        show.as_object({"running": False, "message": error.message, "mend": error.mend})
        return ExitCode.NOT_RUNNING
    if as_json:
        show.as_object({"running": True, **facts})
    else:
        show.table(rows(facts))
    return ExitCode.OK


def _source(source: dict[str, Any]) -> str:
    """Which one, and what about it is worth a word."""
    status = source.get("status")
    parts = [f"{source.get('kind')}: {source.get('name') or '–'}"]
    parts += [str(status)] if status not in (None, "open") else []
    parts += [str(source["slow"])] if source.get("slow") else []
    return ", ".join(parts)


def _engine(engine: dict[str, Any]) -> str:
    """What paints, and what is on its way to paint faster."""
    parts = [str(engine.get("detail") or ""), f"{engine.get('kind')} engine"]
    parts += [str(engine["reduced"])] if engine.get("reduced") else []
    parts += [f"building {engine['building']}"] if engine.get("building") else []
    parts += [f"{kind} does not paint: {why}" for kind, why in (engine.get("refused") or {}).items()]
    return "; ".join(part for part in parts if part)


def rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Label and sentence, for people."""
    part = {key: facts.get(key) or {} for key in ("source", "engine", "metrics", "output")}
    source, engine, metrics = part["source"], part["engine"], part["metrics"]
    found = [
        (
            "phosphene",
            f"{facts.get('version', '')}, process {facts.get('pid')}, "
            f"up {show.duration(facts.get('uptime_s') or 0)}, {facts.get('address') or ''}",
        ),
        ("source", _said(source, _source(source), source.get("detail"))),
        ("engine", _said(engine, str(engine.get("status")), engine.get("message") or _engine(engine))),
    ]
    for sink in facts.get("sinks") or []:
        where = f"{sink.get('kind')}: {sink.get('status', '')}"
        found.append(("sink", _said(sink, where, sink.get("detail"))))
    for name, part in (facts.get("integrations") or {}).items():
        if part.get("status") != "off":
            found.append((name, _said(part, str(part.get("status")), part.get("detail"))))
    latency = metrics.get("latency_ms") or {}
    found.append(
        (
            "picture",
            f"{_number(metrics.get('fps_in'))} in, {_number(metrics.get('fps_engine'))} painted, "
            f"{_number(metrics.get('fps_out'))} out a second; "
            f"camera to sink {_number(latency.get('p50'))} ms, "
            f"p99 {_number(latency.get('p99'))} ms; {metrics.get('skipped', 0)} skipped, "
            f"{metrics.get('dropped', 0)} dropped",
        )
    )
    if deadline := facts.get("deadline"):
        found.append(("deadline", _deadline(deadline)))
    prompt = facts.get("prompt") or ""
    style = facts.get("style") or "no style"
    found.append(("live", f"{facts.get('mode')}, {style}: {prompt} (revision {facts.get('revision')})"))
    if waiting := facts.get("needs_restart"):
        found.append(("waiting", f"for a restart: {', '.join(waiting)}"))
    return found


def _deadline(deadline: dict[str, Any]) -> str:
    given_up = deadline.get("given_up") or "everything as you set it"
    hands = ", ".join(deadline.get("left_alone") or [])
    return (
        f"{_number(deadline.get('fps'))} a second: {given_up} (p99 of a frame {_number(deadline.get('p99_ms'))} ms of "
        f"{_number(deadline.get('budget_ms'))})" + (f"; left alone: {hands}" if hands else "")
    )


def _said(part: dict[str, Any], head: str, detail: Any) -> str:
    said = f"{head} ({detail})" if detail else head
    if part.get("error"):
        said += f"\n{' ' * 11}! {part['error']}"
        if part.get("mend"):
            said += f"\n{' ' * 11}→ {part['mend']}"
    return said


def _number(value: Any) -> str:
    return f"{value:.1f}" if isinstance(value, int | float) else "–"
