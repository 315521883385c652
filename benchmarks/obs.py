"""From a scene of OBS to the picture: how long after OBS's event the first frame of the new style is published.

    python benchmarks/obs.py [--switches 40] [--steps 1 4] [--log]

A real OBS (headless; see tests/e2e/obs) and the whole daemon, on a tiny canvas. Cuts between two scenes, in turns with
a style set straight on the control hub: the difference is what the way through OBS costs. The bound is 150 ms
and the engine's own T frames at the median. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pipeline.messages import SetStyle, SetValue  # noqa: E402
from tests.e2e.obs.obs_studio import MISSING, ObsStudio  # noqa: E402
from tests.e2e.obs.running_daemon import RunningDaemon, until  # noqa: E402

STEPS = {1: [45], 2: [25, 45], 4: [0, 16, 32, 45]}
STYLES = {"Neon": "neon", "Sketch": "pencil"}
BY_COMMAND = "jade"
BOUND_MS = 150.0


def switches(studio: ObsStudio, daemon: RunningDaemon, count: int) -> dict[str, list[float]]:
    """Milliseconds to the first published frame: from OBS's event, from the request to OBS, from a command."""
    found: dict[str, list[float]] = {"event": [], "request": [], "command": [], "event to command": []}
    told: list[float] = []
    applied: dict[int, float] = {}
    daemon.host.control.on_state(lambda state: applied.setdefault(state.revision, time.monotonic()))

    def heard(name: str, data: dict[str, Any]) -> None:
        if name == "SceneTransitionStarted":
            told.append(time.monotonic())

    with studio.connection(on_event=heard) as obs:
        for number in range(count):
            scene = list(STYLES)[(number + 1) % 2]  # OBS begins with the first: that is no switch
            told.clear()
            revision = daemon.revision + 1
            requested = time.monotonic()
            obs.request("SetCurrentProgramScene", {"sceneName": scene})
            until(lambda revision=revision: revision in daemon.first_frame, 10.0)
            shown = daemon.first_frame[revision]
            found["event"].append((shown - told[0]) * 1e3)
            found["request"].append((shown - requested) * 1e3)
            found["event to command"].append((applied[revision] - told[0]) * 1e3)
            time.sleep(0.25 + 0.037 * (number % 7))

            revision, began = daemon.revision + 1, time.monotonic()
            daemon.submit(SetStyle(BY_COMMAND))
            until(lambda revision=revision: revision in daemon.first_frame, 10.0)
            found["command"].append((daemon.first_frame[revision] - began) * 1e3)
            time.sleep(0.25)
    return found


def row(found: dict[str, list[float]], steps: int, fps: float) -> dict[str, Any]:
    def p(values: list[float], percent: int) -> float:
        return round(statistics.quantiles(values, n=100, method="inclusive")[percent - 1], 1)

    return {
        "steps": steps,
        "fps_engine": round(fps, 1),
        "t_frames_ms": round(steps / fps * 1e3, 1),
        **{f"{name} p50": p(values, 50) for name, values in found.items()},
        **{f"{name} p95": p(values, 95) for name, values in found.items()},
        "bound": round(BOUND_MS + steps / fps * 1e3, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--switches", type=int, default=40)
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 4], choices=sorted(STEPS))
    parser.add_argument("--log", action="store_true", help="append a row to LOG.md")
    given = parser.parse_args()
    if MISSING:
        sys.exit(
            f"{' and '.join(MISSING)} missing: apt-get install obs-studio obs-plugins xvfb libgl1-mesa-dri"
        )
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for name in ("CONFIG_HOME", "STATE_HOME", "RUNTIME_DIR"):
            (home / name).mkdir(mode=0o700)
            os.environ[f"XDG_{name}"] = str(home / name)
        (home / "obs").mkdir()
        with ObsStudio(home / "obs") as studio:
            studio.start()
            section = {"port": studio.port, "password": studio.password, "scenes": STYLES}
            with RunningDaemon(home, section) as daemon:
                until(lambda: daemon.painted() > 20, 120, daemon.host.status)
                until(lambda: daemon.obs()["status"] == "connected", 20, daemon.obs)
                for steps in given.steps:
                    daemon.submit(SetValue("t_index_list", STEPS[steps]))
                    until(lambda: daemon.revision in daemon.first_frame, 60)
                    time.sleep(5.5)  # the rate counts five seconds
                    fps = daemon.host.status()["metrics"]["fps_engine"]
                    rows.append(row(switches(studio, daemon, given.switches), steps, fps))
                    print(json.dumps(rows[-1]), flush=True)
    if given.log:
        log(rows)
    print(json.dumps({"benchmark": "obs", "machine": platform.machine(), "rows": rows}))


def log(rows: list[dict[str, Any]]) -> None:
    lines = [
        f"\n## {date.today().isoformat()} · obs.py · {platform.machine()}\n",
        "Scene of a real OBS → first published frame of its style, ms; beside it the same style set by a command.\n",
        "| T | painted a second | T frames | from OBS's event p50, p95 | of it to the command | by a command p50, p95 "
        "| bound at p50 |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r['steps']} | {r['fps_engine']} | {r['t_frames_ms']} | {r['event p50']}, {r['event p95']} "
        f"| {r['event to command p50']} | {r['command p50']}, {r['command p95']} | {r['bound']} |"
        for r in rows
    ]
    with (ROOT / "benchmarks" / "LOG.md").open("a") as file:
        file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
