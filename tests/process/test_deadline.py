"""The deadline in a real daemon under a real load: another process on the painter's core."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest

CONFIG = """
source: {kind: test_pattern, fps: 60}
sinks: ["null"]
output: {size: 320x240}
model: {size: 128x96}
similarity: {enabled: false}
engine: {kind: eager}
denoiser: {t_index_list: [40, 46]}
"""
BUSY = "while True: pass"


def figure(daemon) -> float:
    time.sleep(0.5)
    return daemon.wait(lambda s: s["metrics"]["frame_ms"]["p99"])["metrics"]["frame_ms"]["p99"]


@pytest.mark.skipif(sys.platform != "linux", reason="pins processes to a core")
def test_it_steps_down_under_load_and_up_again_when_the_load_is_gone(daemon):
    folder = daemon.home / "config" / "phosphene"
    folder.mkdir()
    (folder / "config.yaml").write_text(CONFIG)
    daemon.start()
    engine = psutil.Process(daemon.painting()["processes"]["engine"])
    core = engine.cpu_affinity()[0]
    for thread in engine.threads():  # all of them: affinity is a thread's own
        psutil.Process(thread.id).cpu_affinity([core])
    quiet = sorted(figure(daemon) for _ in range(9))[4]
    fps = 1000 / (quiet * 2.5)
    deadline = f"deadline: {{fps: {fps:.2f}, least_scale: 0.75}}\n"
    (folder / "config.yaml").write_text(CONFIG + deadline)
    daemon.command("reload")
    daemon.wait(
        lambda s: s["deadline"]["level"] == 0 and s["deadline"]["p99_ms"] < s["deadline"]["budget_ms"]
    )

    busy = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(5)]
    try:
        for process in busy:
            psutil.Process(process.pid).cpu_affinity([core])
        low = daemon.wait(lambda s: s["deadline"]["level"] == s["deadline"]["lowest"], 60)
        assert low["deadline"]["steps"] == 1
        assert low["deadline"]["canvas_scale"] == 0.75
        low = daemon.wait(lambda s: s["engine"]["size"] == "96x72", 20)
        assert low["engine"]["steps"] == 1
        assert low["state"]["t_index_list"] == [40, 46], "the user's own state stays"
        assert "1 steps instead of 2" in daemon.command("status").stdout
    finally:
        for process in busy:
            process.kill()
            process.wait()
    back = daemon.wait(lambda s: s["deadline"]["level"] == 0, 90)
    assert back["deadline"]["given_up"] == ""
    back = daemon.wait(lambda s: s["engine"]["steps"] == 2 and s["engine"]["size"] == "128x96", 20)
    assert back["engine"]["restarts"] == 0
    log = daemon.command("logs", "-n", "400").stdout + daemon.output
    for words in ("coarser: ", "finer: ", "everything as you set it", "p99 of a frame"):
        assert words in log
    assert daemon.end() == 0
