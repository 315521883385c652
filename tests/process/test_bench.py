"""`phosphene bench` as its user runs it: the real engine and the real daemon, on a small canvas."""

from __future__ import annotations

import json

from PIL import Image

CONFIG = """
model: {size: 64x64}
output: {size: 320x240}
"""


def test_bench_measures_every_row_and_ends_in_one_json_line(daemon):
    folder = daemon.home / "config" / "phosphene"
    folder.mkdir()
    (folder / "config.yaml").write_text(CONFIG)
    done = daemon.command("bench", "--seconds", "1", "--chart", "chart.png", seconds=280)
    *table, last = done.stdout.strip().splitlines()
    figures = json.loads(last)
    assert list(figures["rows"]) == ["1 step", "2 steps", "4 steps", "4 steps, RCFG self"]
    flop = [row["flop"] for row in figures["rows"].values()]
    assert flop[0] < flop[1] < flop[2] == flop[3]
    for row in figures["rows"].values():
        assert row["eager"]["fps"] > 0
        assert row["engine"]["share_of_ceiling"] > 0
        assert row["engine"]["p50_ms"] <= row["engine"]["p99_ms"]
        assert row["daemon"]["frames"] > 0
        assert row["daemon"]["skipped"] == 0
        assert row["daemon_over_engine"] > 0
    static = figures["static"]
    assert static["on"]["skipped"] > static["on"]["frames"]
    assert {"prompt", "seed", "strength", "guidance_scale"} < set(figures["changes"]["slowest_over_median"])
    assert figures["memory_mb"]["engine"] is None or figures["memory_mb"]["engine"] > 100
    assert figures["energy"]
    assert any("1 step" in line for line in table)
    with Image.open(daemon.home / "chart.png") as chart:
        assert chart.width > 1000
