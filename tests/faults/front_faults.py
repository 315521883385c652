"""Faults of what stands around the picture: configuration, disk, web clients."""

from __future__ import annotations

import contextlib
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.faults.campaign import Act, Fault, Scene
from tests.faults.process_faults import wait
from tests.running import ROOT

GOOD = "hold_s: 2.0\n"


def config_of(scene: Scene) -> Path:
    path = scene.daemon.home / "config" / "phosphene" / "config.yaml"
    path.parent.mkdir(exist_ok=True)
    return path


def configured(text: str) -> Act:
    """Write it as an editor does, and wait until the daemon has looked."""

    def act(scene: Scene) -> None:
        path = config_of(scene)
        new = path.with_suffix(".new")
        new.write_text(text)
        new.rename(path)
        time.sleep(2.5)

    return act


def delete_config(scene: Scene) -> None:
    config_of(scene).unlink(missing_ok=True)
    time.sleep(2.5)


def flood(seconds: float) -> Act:
    """See `tests.faults.flood`; in a process of its own, so that the viewer here is not held up by its clients."""

    def act(scene: Scene) -> None:
        run = json.loads((scene.daemon.home / "runtime" / "phosphene" / "run.json").read_text())
        token = (scene.daemon.home / "state" / "phosphene" / "token").read_text().strip()
        clients = [sys.executable, "-m", "tests.faults.flood", str(run["port"]), str(seconds)]
        done = subprocess.run(
            clients, input=token, text=True, capture_output=True, cwd=ROOT, timeout=seconds + 30
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["answered"] > 0, done.stdout

    return act


@contextlib.contextmanager
def recording(scene: Scene) -> Iterator[None]:
    """One more sink while the block runs."""
    scene.daemon.http("/api/v1/sinks", {"sink": f"recorder:{scene.daemon.home / 'clip.mp4'}"})
    try:
        yield
    finally:
        sinks = scene.daemon.http("/api/v1/sinks")["sinks"]
        number = next(sink["id"] for sink in sinks if sink["kind"] == "recorder")
        scene.daemon.http(f"/api/v1/sinks/{number}", method="DELETE")


def room_for_files(scene: Scene, size: int) -> None:
    """No file of the host may grow beyond `size`: the next write fails, for real."""
    assert scene.daemon.process is not None
    psutil.Process(scene.daemon.process.pid).rlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def disk_full(scene: Scene) -> None:
    recorder = recording(scene)
    scene.kept["recorder"] = recorder
    recorder.__enter__()
    scene.wait(
        lambda s: any(k["kind"] == "recorder" and k["status"] == "open" for k in s["sinks"]), 10, "recording"
    )
    room_for_files(scene, 1)


def room_again(scene: Scene) -> None:
    room_for_files(scene, resource.RLIM_INFINITY)
    scene.wait(
        lambda s: any(k["kind"] == "recorder" and k["status"] == "open" for k in s["sinks"]),
        4,
        "recording again",
    )
    scene.kept.pop("recorder").__exit__(None, None, None)


FAULTS = (
    Fault("bad configuration on reload", configured("hold_s: [\n"), "old one stays", configured(GOOD), in_status=False),
    Fault(
        "bad style in the configuration", configured("styles: {odd: {promt: x}}\n"), "old one stays",
        configured(GOOD), in_status=False,
    ),
    Fault("configuration deleted", delete_config),
    Fault("web clients flood, send nonsense, hang up", flood(6)),
    Fault("disk full: recorder, log, state", disk_full, "recorder", room_again, hold=wait(4)),
)  # fmt: skip
