"""A change is sent → the first picture painted with it leaves a sink: by the revision that the frame carries.

    python benchmarks/control.py [--changes 40] [--size 640x360] [--model-size auto] [--log]

The whole program as its user starts it: built-in model, demo source, the preview as the sink, similarity filter off.
A change of strength goes out over HTTP, and over the page's WebSocket, at moments that have nothing to do with the
frames; the clock stops when the part of `/stream.mjpeg` with that revision has arrived here, so encoding and both ways
over the loopback count too. The bound is 100 ms and the T frames that the stream batch has in flight, at the distance
between two painted frames that the same stream showed. Measuring begins once the engine has settled: on a CPU it may be
replaced by a faster one within the first minute. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import http.client
import json
import platform
import random
import re
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.running import Daemon  # noqa: E402

ALLOWED_MS = 100.0
STEPS = {1: [45], 4: [28, 34, 40, 45]}
SETTLED_S = 45.0
HEAD = re.compile(
    rb"Content-Length: (\d+)\r\nX-Number: \d+\r\nX-Revision: (\d+)\r\nX-Captured: (-?\d+)\r\n\r\n"
)


class Viewer(threading.Thread):
    """Reads the stream as a browser does. arrived: (seconds, revision) of every new painting."""

    def __init__(self, port: int, token: str) -> None:
        super().__init__(daemon=True)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/stream.mjpeg", headers={"Authorization": f"Bearer {token}"})
        self._answer = connection.getresponse()
        self._changed = threading.Condition()
        self.arrived: list[tuple[float, int]] = []

    def run(self) -> None:
        seen, rest = 0, b""
        while piece := self._piece():
            rest += piece
            while (head := HEAD.search(rest)) and len(rest) >= head.end() + int(head[1]):
                now, revision, captured = time.perf_counter(), int(head[2]), int(head[3])
                rest = rest[head.end() + int(head[1]) :]
                if revision and captured != seen:
                    seen = captured
                    with self._changed:
                        self.arrived.append((now, revision))
                        self._changed.notify_all()

    def _piece(self) -> bytes:
        """b"" at the stream's end."""
        try:
            return self._answer.read1(1 << 16)
        except (http.client.HTTPException, OSError):
            return b""

    def first(self, revision: int, since: int, timeout_s: float = 30.0) -> float:
        """When the first painting of this revision or a later one was here."""

        def found() -> float | None:
            return next((t for t, r in self.arrived[since:] if r >= revision), None)

        with self._changed:
            if not self._changed.wait_for(lambda: found() is not None, timeout_s):
                raise TimeoutError(f"no picture of revision {revision} within {timeout_s:g} s")
            when = found()
        assert when is not None
        return when


@contextmanager
def over_http(port: int, token: str) -> Iterator[Callable[[float], int]]:
    """Sends one strength, returns its revision; one connection for all."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def send(strength: float) -> int:
        body = json.dumps({"command": "set", "key": "strength", "value": strength})
        connection.request("POST", "/api/v1/commands", body, headers)
        return int(json.load(connection.getresponse())["revision"])

    yield send
    connection.close()


@contextmanager
def over_websocket(port: int, token: str) -> Iterator[Callable[[float], int]]:
    """The same over one WebSocket, as the page does it."""
    from websockets.sync.client import connect

    numbers = iter(range(1, 1_000_000))

    def send(strength: float) -> int:
        number = next(numbers)
        command = {"command": "set", "key": "strength", "value": strength}
        socket.send(json.dumps({"type": "command", "id": number, "command": command}))
        while (message := json.loads(socket.recv(30))).get("id") != number:
            continue  # states and figures that the daemon pushes
        return int(message["revision"])

    with connect(f"ws://127.0.0.1:{port}/api/v1/ws", max_size=None) as socket:
        socket.send(json.dumps({"token": token}))
        yield send


def delays_ms(send: Callable[[float], int], viewer: Viewer, changes: int, seed: int) -> list[float]:
    """One delay a change; strength goes up and down between 0.45 and 0.55."""
    chance, found = random.Random(seed), []
    for n in range(changes + 3):
        since, began = len(viewer.arrived), time.perf_counter()
        revision = send(0.45 if n % 2 else 0.55)
        found.append((viewer.first(revision, since) - began) * 1e3)
        time.sleep(chance.uniform(0.05, 0.35))
    return found[3:]


def settled(daemon: Daemon) -> dict[str, Any]:
    """The engine's facts once a faster one has taken over, or has not for SETTLED_S."""
    end = time.monotonic() + SETTLED_S
    while (engine := daemon.http("/api/v1/status")["engine"])["kind"] == "eager" and time.monotonic() < end:
        time.sleep(0.5)
    time.sleep(2)
    return dict(engine)


def measure(steps: int, given: argparse.Namespace) -> list[dict[str, Any]]:
    """A daemon with T steps; one row for each way in."""
    with tempfile.TemporaryDirectory() as home, Daemon(Path(home)) as daemon:
        settings = {
            "source": "demo",
            "sinks": ["preview"],
            "output": {"size": given.size},
            "model": {"name": "builtin", "size": given.model_size},
            "denoiser": {"t_index_list": STEPS[steps]},
            "similarity": {"enabled": False},
            "obs": {"enabled": False},
        }
        file = Path(home, "config", "phosphene", "config.yaml")
        file.parent.mkdir()
        file.write_text(json.dumps(settings))
        daemon.start()
        daemon.wait(lambda s: s["engine"]["status"] == "ready")
        port = int(daemon.http("/api/v1/status")["address"].rpartition(":")[2])
        token = Path(home, "state", "phosphene", "token").read_text().strip()
        viewer = Viewer(port, token)
        viewer.start()
        engine = settled(daemon)
        rows = []
        for name, way in (("HTTP", over_http), ("WebSocket", over_websocket)):
            begin = len(viewer.arrived)
            with way(port, token) as send:
                delays = sorted(delays_ms(send, viewer, given.changes, seed=steps))
            times = [t for t, _ in viewer.arrived[begin:]]
            interval = statistics.median(b - a for a, b in pairwise(times)) * 1e3
            p50, bound = statistics.median(delays), ALLOWED_MS + steps * interval
            rows.append(
                {
                    "way": name,
                    "steps": steps,
                    "changes": len(delays),
                    "frame_ms": round(interval, 1),
                    "p50_ms": round(p50, 1),
                    "p90_ms": round(delays[int(len(delays) * 0.9)], 1),
                    "worst_ms": round(delays[-1], 1),
                    "bound_ms": round(bound, 1),
                    "within": p50 <= bound,
                    "engine": " ".join(str(engine.get(key)) for key in ("kind", "device", "dtype", "size")),
                }
            )
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
        return rows


def report(rows: list[dict[str, Any]]) -> str:
    """For LOG.md."""
    lines = [
        f"## {date.today()} · control.py · {platform.machine()}, {rows[0]['engine']}",
        "",
        "Command sent → first picture of its revision read from the preview's stream; frame: between two paintings.",
        "",
        "| way in | T | changes | frame ms | p50 ms | p90 ms | worst ms | bound: 100 + T frames |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        kept = "kept" if row["within"] else "**broken**"
        lines.append(
            f"| {row['way']} | {row['steps']} | {row['changes']} | {row['frame_ms']} | {row['p50_ms']} | "
            f"{row['p90_ms']} | {row['worst_ms']} | {row['bound_ms']}, {kept} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--changes", type=int, default=40)
    parser.add_argument("--size", default="640x360", help="output")
    parser.add_argument("--model-size", default="auto", help="canvas")
    parser.add_argument("--log", action="store_true", help="add the table to LOG.md")
    given = parser.parse_args()
    rows = [row for steps in STEPS for row in measure(steps, given)]
    text = report(rows)
    print(text)
    if given.log:
        with (ROOT / "benchmarks" / "LOG.md").open("a") as log:
            log.write("\n" + text)
    print(json.dumps({"control": rows}))


if __name__ == "__main__":
    main()
