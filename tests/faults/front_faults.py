"""Faults of what stands around the picture: configuration, disk, web clients."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import struct
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.faults.campaign import Act, Fault, Scene
from tests.faults.process_faults import wait

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
    """Clients that ask as fast as they can, that send nonsense, that connect and say nothing, and that hang up in the
    middle of a picture."""

    def act(scene: Scene) -> None:
        until = time.monotonic() + seconds
        run = json.loads((scene.daemon.home / "runtime" / "phosphene" / "run.json").read_text())
        address = ("127.0.0.1", int(run["port"]))
        token = (scene.daemon.home / "state" / "phosphene" / "token").read_text().strip()
        clients = (ask, ask, nonsense, silent, hang_up, hang_up)
        threads = [threading.Thread(target=c, args=(address, token, until), daemon=True) for c in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(seconds + 5)

    return act


Address = tuple[str, int]


def ask(address: Address, token: str, until: float) -> None:
    while time.monotonic() < until:
        request = urllib.request.Request(
            f"http://{address[0]}:{address[1]}/api/v1/status", headers={"Authorization": f"Bearer {token}"}
        )
        with contextlib.suppress(OSError, urllib.error.HTTPError):
            urllib.request.urlopen(request, timeout=2).read()


def nonsense(address: Address, token: str, until: float) -> None:
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(address, 2) as client:
            client.sendall(os.urandom(2000) + b"\r\n\r\n")
            client.recv(1000)


def silent(address: Address, token: str, until: float) -> None:
    with contextlib.ExitStack() as open_clients:
        for _ in range(100):
            with contextlib.suppress(OSError):
                open_clients.enter_context(socket.create_connection(address, 2))
        time.sleep(max(0.0, until - time.monotonic()))


def hang_up(address: Address, token: str, until: float) -> None:
    """Reset, as a crashed browser's connection is."""
    head = f"GET /stream.mjpeg HTTP/1.1\r\nHost: {address[0]}\r\nAuthorization: Bearer {token}\r\n\r\n"
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(address, 2) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sendall(head.encode())
            client.recv(5000)


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
