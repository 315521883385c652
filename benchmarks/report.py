"""A run as Markdown, for people and for LOG.md."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

LOG = Path(__file__).with_name("LOG.md")
SYSTEMS = ("original", "original, compiled", "original, sequential", "eager", "fast")


def markdown(result: dict[str, Any]) -> str:
    """Tables of benchmarks/engine.py's result, without a heading."""
    ceiling = result["ceiling_tflops"]
    head = (
        f"{result['model']} at {result['size']}, {result['dtype']}, {result['device']}"
        f"{', ' + str(result['threads']) + ' threads' if result['threads'] else ''}; medians of "
        f"{result['rounds']} interleaved rounds of {result['seconds_a_round']:g} s, ms a frame, uint8 in → uint8 out. "
        f"Ceiling measured in the same run: {ceiling['gemm']:g} TFLOP/s (matrix product), "
        f"{ceiling['convolution']:g} (convolution)."
    )
    present = [s for s in SYSTEMS if any(s in row["ms"] for row in result["rows"].values())]
    titles = ["", *present, "engine", "GFLOP", "floor, ms", "share of ceiling"]
    titles += [f"{s} ÷ fast" for s in present if s != "fast"]
    lines = []
    for name, row in result["rows"].items():
        ms, fast = row["ms"], row["ms"]["fast"]
        cells = [name, *(f"{ms[s]:.2f}" if s in ms else "–" for s in present), row["kind"]]
        cells += [f"{row['flop'] / 1e9:.1f}", f"{row['floor_ms']:.2f}", f"{row['floor_ms'] / fast:.0%}"]
        cells += [f"{ms[s] / fast:.2f}" if s in ms else "–" for s in present if s != "fast"]
        lines.append(cells)
    mode = result["throughput"]
    parts = [
        head,
        table(titles, lines),
        f"Throughput mode (frame buffer 4, 1 step, {mode['kind']}): {mode['ms']:.2f} ms a frame, "
        f"{mode['floor_ms'] / mode['ms']:.0%} of the arithmetic floor's rate ({mode['floor_ms']:.2f} ms).",
    ]
    if result.get("original_missing"):
        parts.append(f"The original was not measured: {result['original_missing']} is not installed.")
    refused = {kind: why for row in result["rows"].values() for kind, why in row["refused"].items()}
    parts += [f"Engine {kind} was not taken: {why}" for kind, why in refused.items()]
    if coarse := result.get("eight_bit"):
        parts.append(eight_bit_table(coarse))
    if live := result.get("changes"):
        said = ", ".join(f"{kind} {ratio:g}" for kind, ratio in live["slowest_over_median"].items())
        parts.append(f"Slowest frame after a live change ÷ median of {live['median_ms']:g} ms: {said}.")
    if daemon := result.get("daemon"):
        parts.append(daemon_table(daemon))
    if result.get("goals"):
        cells = [
            [g["goal"], g["wanted"], f"{g['measured']:g}", "yes" if g["met"] else "**no**"]
            for g in result["goals"]
        ]
        parts.append(table(["goal", "wanted", "measured", "met"], cells))
    return "\n\n".join(parts) + "\n"


def eight_bit_table(coarse: dict[str, Any]) -> str:
    """Of `eight_bit` in benchmarks/engine.py."""
    if "why" in coarse:
        return f"Layers in 8 bits were not measured: {coarse['why']}."
    titles = ["layers in 8 bits", "ms", "engine", "PSNR, dB", "SSIM", "prediction"]
    lines = [
        [
            what,
            f"{row['ms']:.2f}",
            row["kind"],
            f"{row['distance']['psnr_db']:.1f}",
            f"{row['distance']['ssim']:.3f}",
            f"{row['distance']['prediction']:.1%}",
        ]
        for what, row in coarse.items()
    ]
    refused = [
        f"{what}: {kind}: {why}" for what, row in coarse.items() for kind, why in row["refused"].items()
    ]
    return "\n\n".join([table(titles, lines), *refused])


def daemon_table(daemon: dict[str, Any]) -> str:
    """Of benchmarks/daemon.py's result."""
    lines = [
        [
            name,
            f"{row['eager']['fps']:.1f}",
            f"{row['engine']['fps']:.1f} ({row['kind']})",
            f"{row['daemon']['fps']:.1f}",
            f"{row['daemon_over_engine']:.2f}",
            f"{row['daemon_over_eager']:.2f}",
            _or_dash(row["daemon"]["p99_over_p50"]),
            _or_dash(row["daemon"]["latency_ms"]["p50"]),
        ]
        for name, row in daemon["rows"].items()
    ]
    titles = [
        "whole daemon, fps", "eager alone", "engine alone", "daemon", "÷ engine", "÷ eager", "p99 ÷ p50",
        "camera to sink, ms",
    ]  # fmt: skip
    return table(titles, lines)


def table(titles: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [titles, ["---"] * len(titles), *lines]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def append(text: str, title: str) -> None:
    with LOG.open("a", encoding="utf-8") as log:
        log.write(f"\n## {date.today().isoformat()} · {title}\n\n{text}")


def _or_dash(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
