"""What `phosphene bench` does: progress while it runs, a table, a chart where asked for, one JSON object at the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from daemon.bench.engine import engine_alone
from daemon.bench.progress import Progress
from daemon.bench.rows import rows
from daemon.bench.table import print_table
from daemon.bench.whole import whole_daemon
from daemon.exit_codes import ExitCode
from daemon.settings import Loaded, load

ROUNDS: Final = 3
CAMERA_FPS: Final = 60.0
HEADROOM: Final = 1.3  # a camera so much faster than the fastest row never keeps the engine waiting


def bench_settings(overrides: Mapping[str, Any], config: Path | None, fps: float = CAMERA_FPS) -> Loaded:
    """The user's settings with what a benchmark needs: frames from memory at `fps`, every one painted, no device."""
    fixed = {
        "source": {"kind": "memory", "fps": round(min(2000.0, fps), 1)},
        "sinks": ["null"],
        "output.fps": round(min(240.0, fps), 1),
        "similarity.enabled": False,
        "deadline.fps": 0.0,
        "web.port": 0,
    }
    return load({**fixed, **overrides}, config)


def bench(
    overrides: Mapping[str, Any], config: Path | None, seconds: float, say: Callable[[str], None]
) -> dict[str, Any]:
    """Measure for about 17 × `seconds` plus two loads of the model. Returns what the JSON line holds."""
    settings = bench_settings(overrides, config).settings
    wanted = rows(settings.first_state())
    alone = engine_alone(settings, wanted, seconds, ROUNDS, say)
    fastest = max(row["engine"]["fps"] for row in alone["rows"].values())
    camera_fps = max(CAMERA_FPS, HEADROOM * fastest)
    whole = whole_daemon(bench_settings(overrides, config, camera_fps), wanted, seconds, say)
    status = whole["status"]
    return {
        "benchmark": "phosphene bench",
        "version": status["version"],
        **{
            key: alone["info"].get(key) for key in ("model", "device", "dtype", "threads", "torch", "refused")
        },
        "engine": alone["info"]["kind"],
        "size": alone["info"]["size"],
        "output": status["output"],
        "camera_fps": camera_fps,
        "seconds": seconds,
        "ceiling_tflops": alone["ceiling_tflops"],
        "rows": {name: _joined(row, whole["rows"][name]) for name, row in alone["rows"].items()},
        "changes": alone["changes"],
        "static": whole["static"],
        **whole["sinks"],
        "memory_mb": whole["memory_mb"],
        "energy": whole["energy"],
    }


def _joined(alone: dict[str, Any], daemon: dict[str, Any]) -> dict[str, Any]:
    return {
        **alone,
        "daemon": daemon,
        "daemon_over_engine": round(daemon["fps"] / alone["engine"]["fps"], 3),
        "daemon_over_eager": round(daemon["fps"] / alone["eager"]["fps"], 3),
    }


def run_bench(
    overrides: Mapping[str, Any], config: Path | None, *, seconds: float, as_json: bool, chart: Path | None
) -> ExitCode:
    with Progress(steps=18) as progress:
        figures = bench(overrides, config, seconds, progress.say)
    if not as_json:
        print_table(figures)
    if chart is not None:
        from daemon.bench.chart import draw

        draw(figures, chart)
    print(json.dumps(figures))
    return ExitCode.OK
