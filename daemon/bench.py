"""`phosphene bench`: the whole daemon beside its own engine, in one run on this machine.

    engine alone → daemon (one null sink in the virtual camera's format; then with one viewer of the preview; then
    with the recorder) → engine alone again

Frames have a camera's size and come from memory, the similarity filter is off, nobody looks and nothing is recorded
until the phase that measures just that. The engine's own rate is the mean of before and after, so that a drifting
machine does not favour either.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from daemon.app import Host, canvas_of, run
from daemon.choice import Choice
from daemon.exit_codes import ExitCode
from daemon.roles import engine_config, run_module
from daemon.settings import Loaded, Settings, load
from pipeline import kinds
from pipeline.configs import to_json
from pipeline.errors import EngineError
from pipeline.messages import to_dict
from pipeline.metrics import Percentiles

Say = Callable[[str], None]

READY_S: Final = 180.0
SETTLE_S: Final = 2.0  # after a phase begins, before it is counted


@dataclass(frozen=True, slots=True)
class Phase:
    """One measured stretch."""

    name: str
    frames: int
    seconds: float

    @property
    def fps(self) -> float:
        return self.frames / self.seconds


def bench_settings(overrides: Mapping[str, Any], config: Path | None) -> Loaded:
    """The user's settings with what a benchmark needs: frames from memory, every frame painted, no device."""
    fixed = {
        "source": {"kind": "test_pattern", "width": 1280, "height": 720, "fps": 30},
        "sinks": ["null"],
        "similarity.enabled": False,
        "web.port": 0,
    }
    return load({**fixed, **overrides}, config)


def bench(loaded: Loaded, *, seconds: float = 10.0, say: Say = lambda text: None) -> dict[str, Any]:
    """Measure for about 4 × `seconds` plus two loads of the model. Returns what the JSON line holds."""
    settings = loaded.settings
    say("engine alone")
    before = engine_alone(settings, seconds / 2)
    say("whole daemon")
    phases, latency, status = _daemon(loaded, seconds, say)
    say("engine alone, again")
    after = engine_alone(settings, seconds / 2)
    engine_fps = (before["fps"] + after["fps"]) / 2
    base = phases[0]
    p50, p99 = latency
    info, metrics = status["engine"], status["metrics"]
    return {
        "frames": base.frames,
        "seconds": round(base.seconds, 3),
        "fps": round(base.fps, 2),
        "engine_fps": round(engine_fps, 2),
        "share_of_engine": round(base.fps / engine_fps, 4),
        "engine_call_ms": round((before["call_ms"] + after["call_ms"]) / 2, 2),
        "latency_ms": {"p50": p50, "p99": p99},
        "fps_with_one_viewer": round(phases[1].fps, 2),
        "fps_with_recorder": round(phases[2].fps, 2),
        "dropped": metrics["dropped"] + metrics["superseded"],
        "skipped": metrics["skipped"],
        "steps": info["steps"],
        "size": info["size"],
        "output": status["output"],
        "device": info["device"],
        "dtype": info["dtype"],
        "threads": info["threads"],
        "engine": info["kind"],
        "model": info["model"],
        "version": status["version"],
    }


def engine_alone(settings: Settings, seconds: float) -> dict[str, Any]:
    """The engine in a process of its own with nothing beside it (see `pipeline.engine_alone`)."""
    config = engine_config(settings, canvas_of(settings))
    asked = {"config": to_json(config), "state": to_dict(settings.first_state()), "seconds": seconds}
    done = subprocess.run(
        [sys.executable, *run_module("pipeline.engine_alone")],
        input=json.dumps(asked) + "\n",
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise EngineError("the engine alone could not be measured", done.stderr.strip().splitlines()[-1])
    figures: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def _daemon(
    loaded: Loaded, seconds: float, say: Say
) -> tuple[list[Phase], tuple[float | None, float | None], dict[str, Any]]:
    """Three phases of one run of the daemon; the latency of the first; the status at its end."""
    phases: list[Phase] = []
    latency: list[float | None] = []
    status: dict[str, Any] = {}
    failed: list[BaseException] = []

    def direct(host: Host) -> None:
        try:
            _wait_ready(host)
            sink = host.sinks[0]
            phases.append(_phase(host, "null sink", seconds, sink.latency_ms))
            latency.extend(None if v is None else round(v, 2) for v in sink.latency_ms.at(50, 99))
            status.update(host.status())
            say("with one viewer of the preview")
            host.add_sink(_choice("preview", {}))
            with host.preview.subscribe():
                phases.append(_phase(host, "viewer", seconds))
            say("with the recorder")
            with tempfile.TemporaryDirectory() as folder:
                recorder = host.add_sink(_choice("recorder", {"path": str(Path(folder) / "bench.mp4")}))
                phases.append(_phase(host, "recorder", seconds))
                recorder.stop()
                recorder.join(5.0)
        except BaseException as error:  # noqa: BLE001 handed to the thread that waits for the figures
            failed.append(error)
        finally:
            host.stop_soon()

    def on_host(host: Host) -> None:
        threading.Thread(target=direct, args=(host,), name="bench", daemon=True).start()

    run(loaded, on_host=on_host)
    if failed:
        raise failed[0]
    return phases, (latency[0], latency[1]), status


def _wait_ready(host: Host) -> None:
    deadline = time.monotonic() + READY_S
    while host.sinks[0].shown < 3:
        if host.roles.engine.facts.status == "failed" or time.monotonic() > deadline:
            raise EngineError(
                host.roles.engine.facts.error or "no frame was painted", host.roles.engine.facts.mend or ""
            )
        time.sleep(0.05)


def _phase(host: Host, name: str, seconds: float, latency_ms: Percentiles | None = None) -> Phase:
    time.sleep(SETTLE_S)
    if latency_ms is not None:
        latency_ms.clear()
    start, frames = time.monotonic(), host.painted
    time.sleep(seconds)
    return Phase(name, host.painted - frames, time.monotonic() - start)


def _choice(kind: str, options: dict[str, Any]) -> Choice:
    return Choice(kind, kinds.load("pipeline.sinks", kind).Options.model_validate(options))


def run_bench(
    overrides: Mapping[str, Any], config: Path | None, *, seconds: float, as_json: bool, say: Say
) -> ExitCode:
    """What the command does: progress through `say`, a table for people, and one JSON object as the last line."""
    figures = bench(bench_settings(overrides, config), seconds=seconds, say=say)
    if not as_json:
        width = max(map(len, figures))
        for key, value in figures.items():
            print(f"{key:<{width}}  {value}")
    print(json.dumps(figures))
    return ExitCode.OK
