"""Everything `phosphene status`, the page and /metrics show, gathered into plain values."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from daemon.version import version
from pipeline.metrics import percentiles, rounded

if TYPE_CHECKING:
    from daemon.app import Host


def status_of(host: Host) -> dict[str, Any]:
    """The pipeline's part of the status; the control hub adds the live state."""
    capture, painter = host.roles.capture, host.roles.engine
    source, engine, counts = capture.facts, painter.facts, painter.counts
    shown = max(host.sinks, key=lambda sink: sink.shown, default=None)
    nothing: dict[str, float | None] = {"p50": None, "p99": None}
    gap99 = shown.gap_ms.at(99)[0] if shown else None
    sinks = [sink.status() for sink in host.sinks]
    said = (source.error, source.slow, engine.error, engine.reduced)
    return {
        "version": version(),
        "pid": os.getpid(),
        "uptime_s": round(time.monotonic() - host.started, 1),
        "address": host.address,
        "output": {"size": str(host.settings.output.size), "fps": host.settings.output.fps},
        "source": {
            "kind": source.kind,
            "status": source.status,
            "name": source.name,
            "detail": source.detail,
            "error": source.error,
            "slow": source.slow,
            "mend": source.mend,
            "fps": round(capture.fps.per_second(), 2),
            "restarts": capture.role.restarts,
            "restart_causes": dict(capture.role.causes),
        },
        "engine": {
            **engine.info,
            "status": engine.status,
            "message": engine.message,
            "progress": engine.progress,
            "error": engine.error,
            "reduced": engine.reduced,
            "mend": engine.mend,
            "restarts": painter.role.restarts,
            "restart_causes": dict(painter.role.causes),
        },
        "sinks": sinks,
        "demand": {
            "activate": host.settings.activate,
            "asleep": host.demand.asleep,
            "consumers": list(host.demand.consumers),
        },
        "metrics": {
            "fps_in": round(capture.fps.per_second(), 2),
            "fps_engine": round(painter.fps.per_second(), 2),
            "fps_out": max((sink["fps"] for sink in sinks), default=0.0),
            "latency_ms": percentiles(shown.latency_ms) if shown else nothing,
            "stale_ms": percentiles(shown.stale_ms) if shown else nothing,
            "gap_ms_p99": rounded(gap99),
            "stages_ms": {**capture.stages, **painter.stages},
            "frame_ms": {key: (counts.get("frame_ms") or {}).get(key) for key in ("p50", "p99")},
            "frames": counts.get("frames_out", 0),
            "skipped": counts.get("skipped", 0),
            "dropped": counts.get("dropped", 0),
            "superseded": counts.get("superseded", 0),
            "invalid": counts.get("invalid", 0),
            "withheld": counts.get("withheld", 0),
            "shown_revision": shown.revision if shown else 0,
        },
        "integrations": host.integrations.status(),
        "web": {"show_raw": host.settings.web.show_raw, "host": host.settings.web.host},
        "playlist": host.playlist.facts(),
        "faults": [text for text in (*said, *(s["error"] for s in sinks)) if text],
        "deadline": host.deadline.status(),
        "processes": {
            "host": os.getpid(),
            "capture": capture.role.pid,
            "engine": painter.role.pid,
        },
    }
