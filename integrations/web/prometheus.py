"""Status as Prometheus text (exposition format 0.0.4)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

GAUGES = {
    "fps_in": ("phosphene_source_fps", "Pictures a second from the source."),
    "fps_engine": ("phosphene_engine_fps", "Pictures a second painted."),
    "fps_out": ("phosphene_output_fps", "Pictures a second that reach the sinks."),
}
COUNTERS = {
    "skipped": ("phosphene_skipped_total", "Pictures not painted because they hardly differed."),
    "dropped": ("phosphene_dropped_total", "Pictures replaced by newer ones before they were taken."),
}
MODES = ("styled", "bypass", "freeze", "panic")


def metrics_text(status: Mapping[str, Any], streams: int) -> str:
    """The figures of a status dict; missing ones are left out."""
    lines: list[str] = []

    def figure(name: str, help: str, kind: str, *samples: tuple[str, Any]) -> None:
        known = [(labels, value) for labels, value in samples if _is_number(value)]
        if known:
            lines.append(f"# HELP {name} {help}")
            lines.append(f"# TYPE {name} {kind}")
            lines.extend(f"{name}{labels} {float(value)!r}" for labels, value in known)

    metrics, engine, state = (_part(status, key) for key in ("metrics", "engine", "state"))
    figure("phosphene_uptime_seconds", "Since the daemon's start.", "gauge", ("", status.get("uptime_s")))
    figure(
        "phosphene_engine_ready", "1 while the engine paints.", "gauge", ("", engine.get("status") == "ready")
    )
    figure("phosphene_revision", "Of the live state.", "gauge", ("", state.get("revision")))
    mode = status.get("mode") or state.get("mode")
    figure(
        "phosphene_mode",
        "1 for the mode in force.",
        "gauge",
        *((_label("mode", m), m == mode) for m in MODES),
    )
    for key, (name, help) in GAUGES.items():
        figure(name, help, "gauge", ("", metrics.get(key)))
    for key, (name, help) in COUNTERS.items():
        figure(name, help, "counter", ("", metrics.get(key)))
    latency = _part(metrics, "latency_ms")
    seconds = [
        (_label("quantile", f"0.{key[1:]}"), value / 1000 if _is_number(value) else None)
        for key, value in latency.items()
    ]
    figure("phosphene_latency_seconds", "From camera to sink, over the last while.", "gauge", *seconds)
    listed = status.get("sinks")
    sinks = [sink for sink in listed if isinstance(sink, Mapping)] if isinstance(listed, list) else []
    figure(
        "phosphene_sink_fps",
        "Pictures a second to each sink.",
        "gauge",
        *(
            (_label("sink", f"{index}:{sink.get('kind', '')}"), sink.get("fps"))
            for index, sink in enumerate(sinks)
        ),
    )
    figure("phosphene_streams", "Readers of the live picture over HTTP.", "gauge", ("", streams))
    return "\n".join(lines) + "\n"


def _part(of: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = of.get(key)
    return part if isinstance(part, Mapping) else {}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _label(name: str, value: str) -> str:
    escaped = value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'{{{name}="{escaped}"}}'
