"""The goals of this project's speed, and whether a run has met them."""

from __future__ import annotations

from typing import Any


def judged(result: dict[str, Any]) -> list[dict[str, Any]]:
    """[{goal, wanted, measured, met}] for what this run measured; those of a card only on a card."""
    rows, found = result["rows"], []

    def goal(name: str, measured: float | None, wanted: float, *, least: bool) -> None:
        if measured is not None:
            met = measured >= wanted if least else measured <= wanted
            sign = "≥" if least else "≤"
            found.append(
                {"goal": name, "wanted": f"{sign} {wanted:g}", "measured": round(measured, 3), "met": met}
            )

    if result["device"] != "cpu":
        one, four = rows.get("1 step"), rows.get("4 steps, RCFG self")
        if one:
            goal("1 step, ms", one["ms"]["fast"], 3.0, least=False)
            goal("1 step, times the original", over(one, "original"), 11, least=True)
            goal("1 step, times the hand-compiled original", over(one, "original, compiled"), 3.3, least=True)
        if four:
            goal("4 steps, RCFG self, ms", four["ms"]["fast"], 8.0, least=False)
            goal("4 steps, RCFG self, times the original", over(four, "original"), 4.2, least=True)
            goal("4 steps, RCFG self, times sequential", over(four, "original, sequential"), 16, least=True)
        share = result["throughput"]["floor_ms"] / result["throughput"]["ms"]
        goal("throughput mode, share of the arithmetic floor", share, 0.55, least=True)
    for kind, ratio in result.get("changes", {}).get("slowest_over_median", {}).items():
        if kind != "nothing":
            goal(f"slowest frame after a new {kind} ÷ median", ratio, 2.0, least=False)
    daemon = result.get("daemon")
    for name, row in (daemon["rows"] if daemon else {}).items():
        if result["device"] == "cpu":
            goal(f"daemon, {name}, times the eager engine alone", row["daemon_over_eager"], 1.5, least=True)
        else:
            goal(f"daemon, {name}, share of the engine's rate", row["daemon_over_engine"], 0.97, least=True)
            goal(f"daemon, {name}, p99 ÷ p50 of a frame", row["daemon"]["p99_over_p50"], 1.3, least=False)
    return found


def over(row: dict[str, Any], system: str) -> float | None:
    """How many times faster ours is."""
    theirs = row["ms"].get(system)
    return theirs / row["ms"]["fast"] if theirs else None
