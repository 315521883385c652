"""The whole daemon, frames from memory → null sink in the virtual camera's format, row by row in one run of it."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from daemon.app import Host, run
from daemon.bench.published import Published
from daemon.config.choice import Choice
from daemon.settings import Loaded
from pipeline import kinds
from pipeline.errors import EngineError
from pipeline.measure.energy import Meter, meter
from pipeline.measure.process import cpu_seconds, rss_mb
from pipeline.messages import LiveState, SetValue

Say = Callable[[str], None]

READY_S: Final = 180.0
BUILD_S: Final = 900.0
SETTLE_S: Final = 2.0  # after a change, before it is counted; never longer than what is measured


def whole_daemon(loaded: Loaded, rows: Mapping[str, LiveState], seconds: float, say: Say) -> dict[str, Any]:
    """{"rows": …, "static": …, "sinks": …, "memory_mb": …, "status": …}."""
    found: dict[str, Any] = {}
    failed: list[BaseException] = []

    def direct(host: Host) -> None:
        try:
            found.update(_Bench(host, rows, seconds, say).all())
        except BaseException as error:  # noqa: BLE001 handed to the thread that waits for the figures
            failed.append(error)
        finally:
            host.stop_soon()

    def on_host(host: Host) -> None:
        threading.Thread(target=direct, args=(host,), name="bench", daemon=True).start()

    run(loaded, on_host=on_host)
    if failed:
        raise failed[0]
    return found


@dataclass(frozen=True, slots=True)
class _Spent:
    """Processor seconds of all processes and joules, since the start; None: not told here."""

    at_s: float
    cpu_s: float | None
    joules: float | None
    skipped: int


class _Bench:
    def __init__(self, host: Host, rows: Mapping[str, LiveState], seconds: float, say: Say) -> None:
        self._host = host
        self._rows = rows
        self._seconds = seconds
        self._say = say
        self._meter: Meter | str = ""

    def all(self) -> dict[str, Any]:
        self._wait_ready()
        info = self._host.roles.engine.facts.info
        self._meter = meter("cpu" if info["device"] == "cpu" else "cuda")
        rows = {name: self._row(name, state) for name, state in self._rows.items()}
        memory = self._memory()
        status = self._host.status()
        first = next(iter(self._rows.values()))
        return {
            "rows": rows,
            "static": self._static(first),
            "sinks": self._sinks(first),
            "memory_mb": memory,
            "energy": self._meter if isinstance(self._meter, str) else self._meter.name,
            "status": status,
        }

    def _row(self, name: str, state: LiveState) -> dict[str, Any]:
        self._say(f"whole daemon: {name}")
        self._set(state)
        return self._measure()

    def _measure(self) -> dict[str, Any]:
        sink = self._host.sinks[0]
        time.sleep(min(SETTLE_S, self._seconds))
        sink.latency_ms.clear()
        before = self._spent()
        with Published(self._host.roles.styled.reader()) as published:
            time.sleep(self._seconds)
        after = self._spent()
        latency = [None if value is None else round(value, 2) for value in sink.latency_ms.at(50, 99)]
        seconds, frames = after.at_s - before.at_s, published.frames
        return {
            **published.facts(),
            "latency_ms": {"p50": latency[0], "p99": latency[1]},
            "skipped": after.skipped - before.skipped,
            "cpu_s_per_s": _per(after.cpu_s, before.cpu_s, seconds),
            "watts": _per(after.joules, before.joules, seconds),
            "joules_per_frame": _per(after.joules, before.joules, frames),
        }

    def _static(self, state: LiveState) -> dict[str, Any]:
        """The still scene with the filter and without: the paper's ratios of power are 2.39 and 1.99."""
        self._say("still scene, similarity filter on and off")
        measured = {}
        for name, on in (("off", False), ("on", True)):
            self._set(replace(state, similarity=on))
            measured[name] = self._measure()

        def ratio(key: str) -> float | None:
            off, on = measured["off"][key], measured["on"][key]
            return round(off / on, 3) if off and on else None

        return {**measured, "power_ratio": ratio("watts"), "cpu_ratio": ratio("cpu_s_per_s")}

    def _sinks(self, state: LiveState) -> dict[str, Any]:
        """What a viewer of the preview and the recorder cost, one after the other."""
        self._set(state)
        self._say("with one viewer of the preview")
        self._host.add_sink(_choice("preview", {}))
        with self._host.preview.subscribe():
            viewer = self._measure()
        self._say("with the recorder")
        with tempfile.TemporaryDirectory() as folder:
            recorder = self._host.add_sink(_choice("recorder", {"path": str(Path(folder) / "bench.mp4")}))
            recording = self._measure()
            recorder.stop()
            recorder.join(5.0)
        return {"viewer_fps": viewer["fps"], "recorder_fps": recording["fps"]}

    # ------------------------------------------------------------ the daemon

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + READY_S
        while self._host.sinks[0].shown < 3:
            self._check(deadline, "no frame was painted")
            time.sleep(0.05)

    def _set(self, state: LiveState) -> None:
        """Change what a row is about as a user does, and wait until the engine that is to paint it does."""
        host = self._host
        for key, value in (
            ("similarity", state.similarity),
            ("t_index_list", list(state.t_index_list)),
            ("guidance", state.style.guidance),
            ("guidance_scale", state.style.guidance_scale),
        ):
            host.control.submit(SetValue(key, value), "bench")
        deadline = time.monotonic() + BUILD_S
        while True:
            self._check(deadline, "the engine did not take the change")
            info = host.roles.engine.facts.info
            if info.get("steps") == len(state.t_index_list) and not info.get("building"):
                time.sleep(1.0)  # two reports of the engine: what is to be built is known by then
                if not host.roles.engine.facts.info.get("building"):
                    return
            time.sleep(0.1)

    def _check(self, deadline: float, message: str) -> None:
        facts = self._host.roles.engine.facts
        if facts.status == "failed" or time.monotonic() > deadline:
            raise EngineError(facts.error or message, facts.mend or "")

    def _pids(self) -> dict[str, int | None]:
        pids: dict[str, int | None] = self._host.status()["processes"]
        return pids

    def _spent(self) -> _Spent:
        cpu = [cpu_seconds(pid) for pid in self._pids().values() if pid is not None]
        known = [seconds for seconds in cpu if seconds is not None]
        return _Spent(
            time.monotonic(),
            sum(known) if len(known) == len(cpu) else None,
            None if isinstance(self._meter, str) else self._meter.joules(),
            self._host.roles.engine.counts.get("skipped", 0),
        )

    def _memory(self) -> dict[str, float | None]:
        resident = {
            role: None if pid is None or (mb := rss_mb(pid)) is None else round(mb, 1)
            for role, pid in self._pids().items()
        }
        return {**resident, "gpu": self._host.roles.engine.counts.get("gpu_mb")}


def _per(after: float | None, before: float | None, over: float) -> float | None:
    return None if after is None or before is None or over <= 0 else round((after - before) / over, 4)


def _choice(kind: str, options: dict[str, Any]) -> Choice:
    return Choice(kind, kinds.load("pipeline.sinks", kind).Options.model_validate(options))
