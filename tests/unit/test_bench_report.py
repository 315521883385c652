"""How benchmarks are told: bars as long as their numbers, goals judged by the figures and not by hope."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageColor

from daemon.bench.chart import SERIES, draw
from daemon.bench.rows import rows
from daemon.bench.table import print_table
from pipeline.messages import LiveState

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import goals, report


def figures(scale: float = 1.0) -> dict[str, Any]:
    def row(eager: float, engine: float, daemon: float) -> dict[str, Any]:
        return {
            "flop": 3e9,
            "floor_ms": 9.1,
            "kind": "openvino",
            "eager": {"fps": eager, "p50_ms": 1000 / eager},
            "engine": {"fps": engine, "p50_ms": 20.0, "p99_ms": 22.5, "tflops": 0.15, "share_of_ceiling": 0.42},
            "engine_over_eager": engine / eager,
            "daemon": {
                "fps": daemon, "frame_ms": {"p50": 30.0, "p99": 37.5}, "p99_over_p50": 1.25,
                "joules_per_frame": None, "latency_ms": {"p50": 60.0, "p99": 90.0},
            },
            "daemon_over_engine": daemon / engine,
            "daemon_over_eager": daemon / eager,
        }  # fmt: skip

    spent = {"cpu_s_per_s": 1.5, "watts": None}
    return {
        "model": "builtin", "device": "cpu", "dtype": "bfloat16", "threads": 2, "engine": "openvino",
        "size": "256x256", "output": {"size": "1280x720"}, "ceiling_tflops": {"gemm": 0.31, "convolution": 0.28},
        "refused": {},
        "rows": {
            "1 step": row(20 * scale, 36 * scale, 33 * scale), "4 steps": row(11 * scale, 15 * scale, 14 * scale)
        },
        "changes": {"median_ms": 28.0, "slowest_over_median": {"prompt": 1.4, "seed": 1.2}},
        "static": {"off": spent, "on": {**spent, "cpu_s_per_s": 0.3}, "power_ratio": None, "cpu_ratio": 5.0},
        "memory_mb": {"host": 105.0, "engine": 700.0, "gpu": None}, "viewer_fps": 32.0, "recorder_fps": 28.0,
        "energy": "this machine has no RAPL counters",
    }  # fmt: skip


@pytest.mark.parametrize("scale", [1.0, 13.7])
def test_bars_are_as_long_as_their_numbers(tmp_path, scale):
    path = tmp_path / "deep" / "chart.png"
    draw(figures(scale), path)
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    found: list[list[float]] = []
    for _, colour in SERIES:
        hit = (np.abs(pixels - ImageColor.getrgb(colour)).sum(-1) == 0).sum(1)
        starts = [y for y in range(150, len(hit)) if hit[y] > 30 and hit[y - 1] <= 30]
        found.append([hit[y + 12] for y in starts])
    ratio = np.array(found, float) / np.array([[20, 11], [36, 15], [33, 14]], float)
    assert ratio.max() / ratio.min() < 1.03


def test_the_table_has_every_row_and_says_what_is_not_known(capsys):
    wide = figures()
    wide["rows"]["4 steps, RCFG self"] = wide["rows"]["4 steps"]
    print_table(wide)
    said = capsys.readouterr().out
    for words in ("1 step", "4 steps", "1.80×", "92%", "42%", "1.50 → 0.30", "no RAPL", "prompt 1.4", "–"):
        assert words in said, said
    assert "…" not in said


def test_rows_paint_every_frame_and_keep_the_users_style():
    made = rows(LiveState(similarity=True, canvas_scale=0.5))
    assert [len(state.t_index_list) for state in made.values()] == [1, 2, 4, 4]
    assert not any(state.similarity for state in made.values())
    assert {state.canvas_scale for state in made.values()} == {1.0}
    assert made["4 steps, RCFG self"].style.guidance_scale > 1
    assert made["4 steps"].style.guidance == "none"


def on_a_card(ms: dict[str, float], four: dict[str, float]) -> dict[str, Any]:
    return {
        "device": "NVIDIA H100",
        "rows": {"1 step": {"ms": ms}, "4 steps, RCFG self": {"ms": four}},
        "throughput": {"floor_ms": 1.4, "ms": 2.5},
        "changes": {"slowest_over_median": {"nothing": 9.0, "prompt": 1.9}},
        "daemon": {"rows": {"1 step": {"daemon_over_engine": 0.98, "daemon": {"p99_over_p50": 1.2}}}},
    }


def test_goals_of_a_card_are_met_or_not():
    good = on_a_card(
        {"fast": 2.9, "original": 34.2, "original, compiled": 10.1},
        {"fast": 7.9, "original": 34.0, "original, sequential": 134.0},
    )
    judged = goals.judged(good)
    assert len(judged) == 10
    assert all(g["met"] for g in judged), judged
    slow = on_a_card(
        {"fast": 3.2, "original": 34.2, "original, compiled": 10.1},
        {"fast": 8.4, "original": 34.0, "original, sequential": 134.0},
    )
    slow["throughput"]["ms"] = 3.0
    met = {g["goal"]: g["met"] for g in goals.judged(slow)}
    assert not met["1 step, ms"]
    assert not met["1 step, times the original"]
    assert not met["4 steps, RCFG self, ms"]
    assert not met["throughput mode, share of the arithmetic floor"]


def test_goals_of_a_cpu_are_ratios_to_the_eager_engine():
    result = {**figures(), "throughput": {"floor_ms": 1, "ms": 2}, "daemon": figures()}
    met = {g["goal"]: (g["measured"], g["met"]) for g in goals.judged(result)}
    assert met["daemon, 1 step, times the eager engine alone"] == (1.65, True)
    assert met["daemon, 4 steps, times the eager engine alone"] == (1.273, False)
    assert "1 step, ms" not in met


def test_a_daemons_result_is_told_as_a_table():
    text = report.daemon_table(figures())
    assert "| 1 step | 20.0 | 36.0 (openvino) | 33.0 | 0.92 | 1.65 | 1.25 | 60.00 |" in text


def test_8_bit_layers_are_told_with_their_pictures_distance_or_why_not():
    row = {
        "ms": 2.5, "kind": "inductor", "refused": {"cuda_graph": "too far"},
        "distance": {"psnr_db": 31.25, "ssim": 0.9412, "prediction": 0.052},
    }  # fmt: skip
    text = report.eight_bit_table({"all": row})
    assert "| all | 2.50 | inductor | 31.2 | 0.941 | 5.2% |" in text
    assert "all: cuda_graph: too far" in text
    assert "need a CUDA card" in report.eight_bit_table({"why": "8-bit layers need a CUDA card"})
