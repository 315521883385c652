"""A long run under random commands from every front end and random faults, all from one seed, and what grew in it."""

from __future__ import annotations

import random
import statistics
import time
from dataclasses import dataclass, field, replace
from typing import Any

import psutil

from tests.faults import process_faults
from tests.faults.campaign import Scene, is_painting
from tests.faults.front_ends import FRONTS
from tests.faults.leaks import Held

MB = 1e6
SAMPLE_S = 1.0
MOST_GROWTH = 1.0  # MB a minute
WARM_S = {"host": 60.0, "capture": 60.0, "engine": 240.0}
"""Of a process' life, or half of it where that is longer. In the engine the cache of 64 prompts fills at random, and
an engine is built for each number of rows that the guidance asks for."""
POOL = 6
"""Threads that the server's pool may come to have, once: it is made as it is needed."""
PAINTED = {"PHOSPHENE_STYLES__PHOTO": "null", "PHOSPHENE_STYLES__GOLDEN-HOUR": "null"}
"""Environment of a daemon without the styles that hardly change a picture: a viewer could take them for a leak."""
QUIET_S = 6.0
"""At the beginning and at the end nothing is asked of it: descriptors and threads are compared there."""

HURTS = tuple(
    fault
    for fault in process_faults.FAULTS
    if fault.name
    in (
        "engine killed (SIGKILL)",
        "denoiser raises",
        "NaN for a second",
        "capture killed (SIGKILL)",
        "capture crashes (SIGSEGV)",
        "capture stopped (SIGSTOP)",
    )
)


@dataclass
class Report:
    """seed: gives the same run again. Memory in MB, growth in MB a minute after the warm-up, gaps and latency in ms."""

    seed: int
    seconds: float
    commands: int = 0
    faults: list[str] = field(default_factory=list)
    painted: int = 0
    growth: dict[str, float] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)
    longest_gap_ms: float = 0.0  # that the viewer saw
    gaps: int = 0  # above 100 ms, by the sink's own count
    latency_p99_ms: tuple[float, float] = (0.0, 0.0)  # first and last third
    raw: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Sample:
    t: float
    pid: int | None
    rss: float


def soak(
    scene: Scene, seconds: float, seed: int, *, every_s: float = 0.7, fault_every_s: float = 60.0
) -> Report:
    """Drive `scene` for so long. every_s: mean time between two commands; fault_every_s: between two faults."""
    chance, report = random.Random(seed), Report(seed, seconds)
    assert scene.daemon.process is not None
    scene.painting()
    _calm(scene)
    time.sleep(QUIET_S)
    before = Held.by(scene.daemon.process.pid)
    before = replace(before, threads=before.threads + POOL)
    scene.viewer.picture()
    scene.viewer.mark()
    samples: dict[str, list[Sample]] = {"host": [], "capture": [], "engine": []}
    latencies: list[float] = []
    began = sampled = time.monotonic()
    hurt_at = began + fault_every_s * chance.uniform(0.3, 0.6)
    while (now := time.monotonic()) - began < seconds:
        if now - sampled >= SAMPLE_S:
            sampled = now
            _sample(scene.status(), samples, latencies, now - began)
        if now >= hurt_at:
            hurt_at = now + fault_every_s * chance.uniform(0.8, 1.2)
            report.faults.append(_hurt(scene, chance))
        chance.choice(FRONTS)(scene.daemon, chance)
        report.commands += 1
        time.sleep(chance.expovariate(1 / every_s))
    _calm(scene)
    scene.painting()
    time.sleep(QUIET_S)
    _judge(report, scene, before, samples, latencies)
    return report


def _hurt(scene: Scene, chance: random.Random) -> str:
    """One fault, to the moment at which it paints again."""
    fault = chance.choice(HURTS)
    _calm(scene)
    scene.painting()
    fault.inject(scene)
    for act in (fault.hold, fault.mend):
        if act is not None:
            act(scene)
    scene.painting()
    return fault.name


def _calm(scene: Scene) -> None:
    """Painting, whatever mode chance has left it in."""
    scene.daemon.submit(command="mode", mode="styled")


def _sample(
    status: dict[str, Any], samples: dict[str, list[Sample]], latencies: list[float], t: float
) -> None:
    for role, pid in status["processes"].items():
        try:
            rss = psutil.Process(pid).memory_info().rss / MB if pid else 0.0
        except psutil.NoSuchProcess:
            continue
        samples[role].append(Sample(t, pid, rss))
    if is_painting(status) and (p99 := status["metrics"]["latency_ms"]["p99"]) is not None:
        latencies.append(p99)


def _judge(
    report: Report, scene: Scene, before: Held, samples: dict[str, list[Sample]], latencies: list[float]
) -> None:
    status = scene.status()
    report.painted, report.gaps = status["metrics"]["frames"], status["sinks"][0]["gaps"]
    report.longest_gap_ms = scene.viewer.longest_gap_s * 1e3
    report.raw = scene.viewer.raw
    if report.raw:
        report.wrong.append(f"{report.raw} pictures of the unpainted camera")
    if report.longest_gap_ms > max(0.1, scene.gap_floor_s) * 1e3:
        report.wrong.append(f"a viewer waited {report.longest_gap_ms:.0f} ms for a picture")
    for role, of in samples.items():
        life = longest_life(of)
        report.memory[role] = life[-1].rss if life else 0.0
        warm = [s for s in life if s.t - life[0].t > max(WARM_S[role], (life[-1].t - life[0].t) / 2)]
        if len(warm) < 20:
            continue  # killed too often, or too short a run, for its memory to mean anything
        report.growth[role] = slope([(s.t / 60, s.rss) for s in warm])
        if report.growth[role] > MOST_GROWTH:
            report.wrong.append(f"the memory of {role} grows by {report.growth[role]:.2f} MB a minute")
    third = len(latencies) // 3
    if third >= 5:
        first, last = statistics.median(latencies[:third]), statistics.median(latencies[-third:])
        report.latency_p99_ms = first, last
        if last > 1.5 * first + 20:
            report.wrong.append(f"p99 latency grew from {first:.0f} to {last:.0f} ms")
    assert scene.daemon.process is not None
    deadline = time.monotonic() + 10
    while grown := Held.by(scene.daemon.process.pid).more_than(before):
        if time.monotonic() > deadline:
            report.wrong.append(f"holds more than at the start: {grown}")
            break
        time.sleep(0.2)


def longest_life(samples: list[Sample]) -> list[Sample]:
    """The longest stretch of one process: a role that was killed begins anew in another."""
    lives: dict[int | None, list[Sample]] = {}
    for sample in samples:
        lives.setdefault(sample.pid, []).append(sample)
    lives.pop(None, None)
    return max(lives.values(), key=len, default=[])


def slope(points: list[tuple[float, float]]) -> float:
    """Theil and Sen's: the median of the slopes of all pairs; a few odd samples do not move it."""
    found = [
        (b[1] - a[1]) / (b[0] - a[0]) for i, a in enumerate(points) for b in points[i + 1 :] if b[0] > a[0]
    ]
    return statistics.median(found)
