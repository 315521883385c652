"""Status as Prometheus text (exposition format 0.0.4). docs/grafana.json draws these figures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

GAUGES: Final = {
    "fps_in": ("phosphene_source_fps", "Pictures a second from the source."),
    "fps_engine": ("phosphene_engine_fps", "Pictures a second painted."),
    "fps_out": ("phosphene_output_fps", "Pictures a second that reach the sinks."),
}
COUNTERS: Final = {
    "frames": ("phosphene_painted", "Pictures painted since the engine came up."),
    "skipped": ("phosphene_skipped", "Pictures not painted because they hardly differed."),
    "dropped": ("phosphene_dropped", "Pictures replaced by newer ones before they were taken."),
    "superseded": ("phosphene_superseded", "Prepared pictures that a newer one replaced."),
    "invalid": ("phosphene_invalid", "Pictures with NaN or infinite values, never shown."),
}
SINK_SUMMARIES: Final = {
    "latency_ms": ("phosphene_sink_latency_seconds", "From the camera to this sink, of new pictures."),
    "stale_ms": ("phosphene_sink_staleness_seconds", "Age of what this sink shows, whenever it sends."),
    "send_ms": ("phosphene_sink_send_seconds", "The device's call."),
    "gap_ms": ("phosphene_sink_gap_seconds", "Between two pictures of this sink."),
}
SINK_COUNTERS: Final = {
    "sent": ("phosphene_sink_sent", "Pictures this sink got."),
    "late": ("phosphene_sink_late", "Intervals lost because the device was slow."),
    "gaps": ("phosphene_sink_gaps", "Gaps longer than a viewer may wait."),
}
MODES: Final = ("styled", "bypass", "freeze", "panic")

Sample = tuple[dict[str, str], Any]
"""Labels and a value, which is left out when it is not a finite number."""


def metrics_text(status: Mapping[str, Any], streams: int) -> str:
    """The figures of a status dict; missing ones are left out."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.registry import Collector

    class Once(Collector):
        def collect(self) -> Iterator[Any]:
            return _families(status, streams)

    registry = CollectorRegistry()
    registry.register(Once())
    return generate_latest(registry).decode()


def _families(status: Mapping[str, Any], streams: int) -> Iterator[Any]:
    metrics, engine, state = (_part(status, key) for key in ("metrics", "engine", "state"))
    yield from _gauge("phosphene_uptime_seconds", "Since the daemon's start.", [({}, status.get("uptime_s"))])
    ready = engine.get("status") == "ready"
    yield from _gauge("phosphene_engine_ready", "1 while the engine paints.", [({}, ready)])
    yield from _gauge("phosphene_revision", "Of the live state.", [({}, state.get("revision"))])
    mode = status.get("mode") or state.get("mode")
    yield from _gauge("phosphene_mode", "1 for the mode in force.", [({"mode": m}, m == mode) for m in MODES])
    for key, (name, help) in GAUGES.items():
        yield from _gauge(name, help, [({}, metrics.get(key))])
    for key, (name, help) in COUNTERS.items():
        yield from _counter(name, help, [({}, metrics.get(key))])
    yield from _gauge(
        "phosphene_latency_seconds",
        "From camera to sink, over the last while.",
        _quantiles(_part(metrics, "latency_ms"), {}),
    )
    stages = _part(metrics, "stages_ms")
    yield from _gauge(
        "phosphene_stage_seconds",
        "What a stage's own thread spends on a call, over the last thousand.",
        [sample for stage in stages for sample in _quantiles(_part(stages, stage), {"stage": str(stage)})],
    )
    yield from _roles(status)
    yield from _sinks(status.get("sinks"))
    integrations = _part(status, "integrations")
    yield from _gauge(
        "phosphene_integration",
        "1 for the state an integration is in.",
        [
            ({"integration": str(name), "status": str(_part(integrations, name).get("status"))}, 1)
            for name in integrations
        ],
    )
    yield from _gauge("phosphene_streams", "Readers of the live picture over HTTP.", [({}, streams)])


def _roles(status: Mapping[str, Any]) -> Iterator[Any]:
    samples: list[Sample] = []
    for role, part in (("capture", "source"), ("engine", "engine")):
        causes = _part(_part(status, part), "restart_causes")
        samples += [({"role": role, "cause": str(cause)}, count) for cause, count in causes.items()]
    yield from _counter("phosphene_restarts", "Restarts of a process, by what ended it.", samples)


def _sinks(listed: Any) -> Iterator[Any]:
    found = [sink for sink in listed if isinstance(sink, Mapping)] if isinstance(listed, list) else []
    sinks = [({"sink": f"{index}:{sink.get('kind', '')}"}, sink) for index, sink in enumerate(found)]
    yield from _gauge(
        "phosphene_sink_fps", "Pictures a second to each sink.", [(label, s.get("fps")) for label, s in sinks]
    )
    yield from _gauge(
        "phosphene_sink_rung",
        "1 for what the sink shows.",
        [({**label, "showing": str(s.get("showing"))}, 1) for label, s in sinks],
    )
    for key, (name, help) in SINK_SUMMARIES.items():
        yield from _gauge(
            name, help, [sample for label, s in sinks for sample in _quantiles(_part(s, key), label)]
        )
    for key, (name, help) in SINK_COUNTERS.items():
        yield from _counter(name, help, [(label, s.get(key)) for label, s in sinks])


def _gauge(name: str, help: str, samples: Iterable[Sample]) -> Iterator[Any]:
    from prometheus_client.core import GaugeMetricFamily

    yield from _family(GaugeMetricFamily, name, help, samples)


def _counter(name: str, help: str, samples: Iterable[Sample]) -> Iterator[Any]:
    from prometheus_client.core import CounterMetricFamily

    yield from _family(CounterMetricFamily, name, help, samples)


def _family(kind: Any, name: str, help: str, samples: Iterable[Sample]) -> Iterator[Any]:
    known = [(labels, float(value)) for labels, value in samples if _is_number(value)]
    if not known:
        return
    family = kind(name, help, labels=tuple(known[0][0]))
    for labels, value in known:
        family.add_metric(tuple(labels.values()), value)
    yield family


def _quantiles(of: Mapping[str, Any], labels: dict[str, str]) -> list[Sample]:
    """`{"p50": ms, "p99": ms, …}` in seconds; what is not a percentile is left out."""
    return [
        ({**labels, "quantile": f"0.{key[1:]}"}, value / 1000 if _is_number(value) else None)
        for key, value in of.items()
        if isinstance(key, str) and key[:1] == "p" and key[1:].isdecimal()
    ]


def _part(of: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = of.get(key)
    return part if isinstance(part, Mapping) else {}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
