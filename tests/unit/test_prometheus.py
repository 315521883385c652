"""The figures in Prometheus' own words, and the dashboard that draws them."""

import json
import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from integrations.web.prometheus import metrics_text

DASHBOARD = Path(__file__).parents[2] / "docs" / "grafana.json"
AGES = {"p50": 10.0, "p99": 20.0}
STATUS = {
    "uptime_s": 3.0,
    "mode": "styled",
    "state": {"revision": 4},
    "engine": {"status": "ready", "restart_causes": {"killed": 2}},
    "source": {"restart_causes": {"no picture": 1}},
    "metrics": {
        **dict.fromkeys(("fps_in", "fps_engine", "fps_out"), 30.0),
        **dict.fromkeys(("frames", "skipped", "dropped", "superseded", "invalid"), 7),
        "latency_ms": AGES,
        "stages_ms": {"decode": AGES, "denoise": {"p50": None, "p99": None}},
    },
    "sinks": [
        {
            "kind": "null",
            "fps": 30.0,
            "showing": "styled",
            **dict.fromkeys(("latency_ms", "stale_ms", "send_ms"), AGES),
            "gap_ms": {**AGES, "longest": 90.0},
            **dict.fromkeys(("sent", "late", "gaps"), 1),
        }
    ],
    "integrations": {"obs": {"status": "connected"}},
}


def samples(status):
    families = text_string_to_metric_families(metrics_text(status, 2))
    return [sample for family in families for sample in family.samples]


def test_prometheus_own_parser_reads_every_figure():
    found = {(s.name, tuple(sorted(s.labels.items()))): s.value for s in samples(STATUS)}
    assert found["phosphene_painted_total", ()] == 7
    assert found["phosphene_restarts_total", (("cause", "killed"), ("role", "engine"))] == 2
    assert found["phosphene_stage_seconds", (("quantile", "0.99"), ("stage", "decode"))] == 0.02
    assert found["phosphene_sink_gap_seconds", (("quantile", "0.50"), ("sink", "0:null"))] == 0.01
    assert not any(dict(labels).get("stage") == "denoise" for _, labels in found)


def test_every_figure_of_the_dashboard_is_one_of_ours_and_its_labels_too():
    known: dict[str, set[str]] = {}
    for sample in samples(STATUS):
        known.setdefault(sample.name, {"job"}).update(sample.labels)
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    for target in (target for panel in panels for target in panel["targets"]):
        (name,) = re.findall(r"phosphene_\w+", target["expr"])
        assert name in known, name
        matched = re.findall(r"(\w+)=~?\"", target["expr"])
        assert set(matched + re.findall(r"{{(\w+)}}", target["legendFormat"])) <= known[name], target
    drawn = {re.findall(r"phosphene_\w+", t["expr"])[0] for p in panels for t in p["targets"]}
    assert {
        "phosphene_stage_seconds",
        "phosphene_sink_staleness_seconds",
        "phosphene_restarts_total",
    } <= drawn


def test_the_dashboards_panels_do_not_overlap():
    taken = set()
    for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert all(0 <= x < 24 for x, _ in cells)
        assert not cells & taken, panel["title"]
        taken |= cells
