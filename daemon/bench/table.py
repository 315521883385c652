"""The figures of `phosphene bench` for people."""

from __future__ import annotations

from typing import Any


def print_table(figures: dict[str, Any]) -> None:
    """Two tables, each within 80 columns, and a few lines below them."""
    from rich.console import Console

    console = Console(highlight=False)
    ceiling, threads = figures["ceiling_tflops"], figures["threads"]
    console.print(
        f"{figures['model']} on {figures['device']}{f' ({threads} threads)' if threads else ''}, {figures['dtype']}, "
        f"engine {figures['engine']}, canvas {figures['size']}, output {figures['output']['size']}; "
        f"ceiling measured: {ceiling['gemm']:g} TFLOP/s (matrix product), {ceiling['convolution']:g} (convolution)"
    )
    engine = _table(
        "engine alone", "eager\nms", "ms", "p99", "fps", "GFLOP", "TFLOP/s", "of\nceiling", "over\neager"
    )
    daemon = _table(
        "whole daemon", "fps", "of\nengine", "over\neager", "ms", "p99÷\np50", "to sink\nms", "J a\nframe"
    )
    for name, row in figures["rows"].items():
        alone, whole = row["engine"], row["daemon"]
        engine.add_row(
            name,
            _number(row["eager"]["p50_ms"], 1),
            _number(alone["p50_ms"], 1),
            _number(alone["p99_ms"], 1),
            _number(alone["fps"], 1),
            _number(row["flop"] / 1e9, 1),
            _number(alone["tflops"], 3),
            _share(alone["share_of_ceiling"]),
            _times(row["engine_over_eager"]),
        )
        daemon.add_row(
            name,
            _number(whole["fps"], 1),
            _share(row["daemon_over_engine"]),
            _times(row["daemon_over_eager"]),
            _number((whole["frame_ms"] or {}).get("p50"), 1),
            _number(whole["p99_over_p50"], 2),
            _number(whole["latency_ms"]["p50"], 0),
            _number(whole["joules_per_frame"], 2),
        )
    console.print(engine)
    console.print(daemon)
    for name, why in (figures.get("refused") or {}).items():
        console.print(f"engine {name} was not taken: {why}")
    for line in _below(figures):
        console.print(line)


def _table(*titles: str) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(titles[0], no_wrap=True)
    for title in titles[1:]:
        table.add_column(title, justify="right", no_wrap=True)
    return table


def _below(figures: dict[str, Any]) -> list[str]:
    static, memory, live = figures["static"], figures["memory_mb"], figures["changes"]
    slowest = ", ".join(f"{kind} {ratio:g}" for kind, ratio in live["slowest_over_median"].items())
    return [
        f"slowest of the frames after a live change ÷ median ({live['median_ms']:g} ms): {slowest}",
        f"still scene, filter off → on: {_number(static['off']['cpu_s_per_s'], 2)} → "
        f"{_number(static['on']['cpu_s_per_s'], 2)} cores busy ({_times(static['cpu_ratio'])}), "
        f"{_number(static['off']['watts'], 1)} → {_number(static['on']['watts'], 1)} W "
        f"({_times(static['power_ratio'])}; the paper: 2.39 and 1.99)",
        "resident memory, MB: " + ", ".join(f"{role} {_number(mb, 0)}" for role, mb in memory.items()),
        f"with one viewer of the preview {figures['viewer_fps']:g} fps, and with the recorder "
        f"{figures['recorder_fps']:g}",
        f"energy: {figures['energy']}",
    ]


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


def _times(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}×"
