"""What the small pictures of styles cost the live picture: painted frames a second without, with, and without them.

    python -m benchmarks.style_pictures --seconds 25

The daemon's own Host with one null sink, frames from memory and the similarity filter off, as in `phosphene bench`;
the pictures of the whole bank are asked for at once and none is cached. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time

from daemon.app import Host, run
from daemon.bench.command import bench_settings


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=25.0)
    seconds = parser.parse_args().seconds
    figures: dict[str, float] = {}
    failed: list[BaseException] = []

    def direct(host: Host) -> None:
        try:
            measure(host, seconds, figures)
        except BaseException as error:  # noqa: BLE001 handed to the main thread
            failed.append(error)
        finally:
            host.stop_soon()

    with tempfile.TemporaryDirectory() as folder:
        for name in ("CACHE", "CONFIG", "STATE"):
            os.environ[f"XDG_{name}_HOME"] = f"{folder}/{name.lower()}"
        os.environ["XDG_RUNTIME_DIR"] = folder
        loaded = bench_settings({"obs.enabled": False, "engine.kind": "eager"}, None)
        run(loaded, on_host=lambda host: threading.Thread(target=direct, args=(host,), daemon=True).start())
    if failed:
        raise failed[0]
    print(json.dumps(figures))


def measure(host: Host, seconds: float, figures: dict[str, float]) -> None:
    while host.painted < 30:
        time.sleep(0.05)
    time.sleep(3.0)
    before = fps(host, seconds)
    names = list(host.settings.styles)
    for name in names:
        host.pictures.get(name)
    during = fps(host, seconds)
    made = sum(host.pictures.ready(name)[0] for name in names)
    host.pictures.forget()
    time.sleep(2.0)
    after = fps(host, seconds)
    without = (before + after) / 2
    figures.update(
        fps_before=round(before, 2),
        fps_during=round(during, 2),
        fps_after=round(after, 2),
        share=round(during / without, 4),
        pictures=made,
        seconds=seconds,
        gap_ms_p99=round(host.sinks[0].gap_ms.at(99)[0] or 0.0, 1),
    )


def fps(host: Host, seconds: float) -> float:
    began, frames = time.monotonic(), host.painted
    time.sleep(seconds)
    return (host.painted - frames) / (time.monotonic() - began)


if __name__ == "__main__":
    main()
