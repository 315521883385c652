"""One fault after another against a running daemon, each judged in the same way, and a table of what was seen."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.faults.leaks import Held
from tests.faults.viewer import Viewer, is_slate
from tests.running import Daemon

Act = Callable[["Scene"], object]
GAP_S = 0.1
"""Longest that a viewer may wait for a picture."""
BUILD_S = 90.0
"""Longest that a build may take, and its process be no leak."""


@dataclass(frozen=True)
class Fault:
    """One row of the table.

    inject: makes the fault. mend: ends it; None where it ends by itself (recovery
    is then counted from the injection). cause: what an event and the status must
    say of it (a regular expression; "" where there is nothing to say). within_s: from there to the
    painted picture. gap_s: longest that a viewer may wait for a picture. hold: waits for the fault's effect before it
    is mended. raw: whether the camera's own picture is allowed.
    """

    name: str
    inject: Act
    cause: str = ""
    mend: Act | None = None
    within_s: float = 3.0
    gap_s: float = GAP_S
    hold: Act | None = None
    raw: bool = False
    in_status: bool = True


@dataclass
class Outcome:
    """Of one injection. Seconds; raw: pictures of the unpainted camera that a viewer got. wrong: in words."""

    fault: str
    gap_s: float
    recovery_s: float
    raw: int
    wrong: list[str] = field(default_factory=list)


class Scene:
    """A daemon, a viewer and what they need."""

    def __init__(
        self, daemon: Daemon, viewer: Viewer, *, gap_floor_s: float = 0.0, patience: float = 1.0
    ) -> None:
        """gap_floor_s: what the machine itself is allowed (a guest with one slow processor). patience: times that a
        recovery may take longer than the table says (a machine full of other tests)."""
        self.daemon = daemon
        self.viewer = viewer
        self.gap_floor_s = gap_floor_s
        self.patience = patience
        self.kept: dict[str, Any] = {}  # what an injection leaves for its mend

    def status(self) -> dict[str, Any]:
        deadline = time.monotonic() + 20
        while True:
            try:
                status = self.daemon.http("/api/v1/status")
            except (OSError, ValueError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return dict(status)

    def wait(self, condition: Callable[[dict[str, Any]], object], seconds: float, what: str) -> float:
        began = time.monotonic()
        status: dict[str, Any] = {}
        while time.monotonic() - began < seconds:
            code = self.daemon.process.poll() if self.daemon.process else None
            assert code is None, f"the daemon ended with {code}:\n{self.daemon.output[-3000:]}"
            status = self.status()
            if condition(status):
                return time.monotonic() - began
            time.sleep(0.05)
        facts = {key: status.get(key) for key in ("source", "engine", "sinks", "faults", "mode")}
        raise AssertionError(f"{what}: not within {seconds:g} s: {facts}\n{self.daemon.output[-2500:]}")

    def painting(self, seconds: float = 90) -> float:
        """Wait until a viewer gets fresh painted pictures."""
        took = self.wait(is_painting, seconds, "painting")
        assert not is_slate(self.viewer.picture()), "status says painted, and a viewer sees the card"
        return took

    def said(self, since: int, pattern: str) -> bool:
        return re.search(pattern, self.daemon.output[since:]) is not None


def is_painting(status: dict[str, Any]) -> bool:
    return bool(
        status["source"]["status"] == "open"
        and status["engine"]["status"] == "ready"
        and status["sinks"][0]["showing"] == "styled"
    )


def inject(scene: Scene, fault: Fault) -> Outcome:
    """One fault, from a painted picture to a painted picture.

    Choosing a mode first counts failures anew: so many in so short a time would be given up, as they should be.
    """
    scene.daemon.submit(command="mode", mode="styled")
    scene.painting()
    assert scene.daemon.process is not None
    before = Held.by(scene.daemon.process.pid)
    log_from = len(scene.daemon.output)
    scene.viewer.picture()
    scene.viewer.mark()
    wrong: list[str] = []
    fault.inject(scene)
    began = time.monotonic()
    if fault.cause and fault.in_status:
        try:
            scene.wait(
                lambda s: any(re.search(fault.cause, text) for text in s["faults"]),
                25,
                f"{fault.name}: status",
            )
        except AssertionError as error:
            wrong.append(str(error))
    if fault.hold is not None:
        fault.hold(scene)
    if fault.mend is not None:
        fault.mend(scene)
        began = time.monotonic()
    try:
        scene.painting(max(60.0, fault.within_s * scene.patience))
    except AssertionError as error:
        wrong.append(str(error))
    recovery = time.monotonic() - began
    gap, raw = scene.viewer.longest_gap_s, scene.viewer.raw
    if recovery > fault.within_s * scene.patience:
        said = scene.daemon.output[log_from:][-3000:]
        wrong.append(f"recovered after {recovery:.1f} s and not {fault.within_s:g}:\n{said}")
    if gap > fault.gap_s + max(0.0, scene.gap_floor_s - GAP_S):
        wrong.append(f"a viewer waited {gap * 1e3:.0f} ms for a picture")
    if raw and not fault.raw:
        wrong.append(f"{raw} pictures of the unpainted camera")
    if fault.cause and not scene.said(log_from, fault.cause):
        wrong.append(f"no event says {fault.cause!r}: {scene.daemon.output[log_from:][-1500:]}")
    wrong += _leaks(scene, before)
    return Outcome(fault.name, gap, recovery, 0 if fault.raw else raw, wrong)


def _leaks(scene: Scene, before: Held) -> list[str]:
    """Given a moment: what ends, ends within a second or two. While a new engine builds what it paints with, a process
    that ends by itself, the moment has not begun."""
    assert scene.daemon.process is not None
    latest = time.monotonic() + BUILD_S
    deadline = time.monotonic() + 3
    while leaked := Held.by(scene.daemon.process.pid).more_than(before):
        now = time.monotonic()
        if scene.status()["engine"].get("building"):
            deadline = now + 3
        if now > min(deadline, latest):
            return [f"leaked: {leaked}"]
        time.sleep(0.1)
    return []


# ---------------------------------------------------------------- the table


def table(outcomes: list[Outcome]) -> str:
    """Markdown: a row a fault, in the order of their first injection."""
    rows = ["| fault | times | longest gap | painted again | raw frames |", "|---|---|---|---|---|"]
    for name in dict.fromkeys(outcome.fault for outcome in outcomes):
        of = [outcome for outcome in outcomes if outcome.fault == name]
        gap, recovery = max(o.gap_s for o in of), max(o.recovery_s for o in of)
        rows.append(
            f"| {name} | {len(of)} | {gap * 1e3:.0f} ms | {recovery:.1f} s | {sum(o.raw for o in of)} |"
        )
    return "\n".join(rows)


def as_json(outcomes: list[Outcome]) -> list[dict[str, Any]]:
    return [asdict(outcome) for outcome in outcomes]
