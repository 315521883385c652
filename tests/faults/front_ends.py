"""Every way in, used at random and in earnest: HTTP, WebSocket, command line, reloaded file, picture streams."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pythonosc.udp_client
import websockets.sync.client

from tests.running import Daemon

Front = Callable[[Daemon, random.Random], object]


def command(chance: random.Random) -> dict[str, Any]:
    """Any command that leaves the raw camera unshown. A strength near 0 is the camera's own picture, asked for."""
    style = chance.choice(("neon", "anime", "oil", "pencil", "van-gogh"))
    over = chance.choice((0.0, 0.0, 0.3, 1.5))
    return chance.choice(
        (
            {"command": "style", "name": style, "over_s": over},
            {"command": "blend", "weights": {style: chance.random() + 0.1, "jade": 0.5}, "over_s": over},
            {"command": "step", "by": chance.choice((-1, 1)), "over_s": over},
            {"command": "random"},
            {"command": "prompt", "prompt": f"a painting number {chance.randrange(12)}", "over_s": over},
            {"command": "look", "name": style, "values": {"seed": chance.randrange(2**32)}},
            {"command": "set", "key": "strength", "value": round(chance.uniform(0.3, 1), 2)},
            {
                "command": "set",
                "key": "guidance",
                "value": chance.choice(("none", "self", "onetime", "full")),
            },
            {"command": "set", "key": "guidance_scale", "value": chance.choice((1.0, 1.3, 2.0))},
            {"command": "set", "key": "steadiness", "value": round(chance.random(), 2)},
            {"command": "set", "key": "similarity", "value": chance.random() < 0.5},
            {"command": "mode", "mode": chance.choice(("freeze", "panic", "styled")), "toggle": False},
            {"command": "undo"},
        )
    )


def over_http(daemon: Daemon, chance: random.Random) -> None:
    """What is refused (nothing to undo) is an answer too."""
    with contextlib.suppress(urllib.error.HTTPError):
        daemon.submit(**command(chance))


def over_websocket(daemon: Daemon, chance: random.Random) -> None:
    with _websocket(daemon) as ws:
        for _ in range(chance.randrange(1, 6)):
            ws.send(json.dumps({"type": "command", "id": 1, "command": command(chance)}))
            ws.recv(timeout=5)


def over_cli(daemon: Daemon, chance: random.Random) -> None:
    words = chance.choice(
        (("style", "neon"), ("styles",), ("set", "seed", "7"), ("undo",), ("status", "--json"))
    )
    assert daemon.command(*words, check=False).returncode in (0, 8), words


def over_a_reloaded_file(daemon: Daemon, chance: random.Random) -> None:
    """Good and bad files alike: a bad one changes nothing."""
    (daemon.home / "config" / "phosphene").mkdir(exist_ok=True)
    text = chance.choice(("hold_s: 1.5\n", "log: {level: debug}\n", "output: {fps: 0}\n", "{[\n", ""))
    (daemon.home / "config" / "phosphene" / "config.yaml").write_text(text)
    assert daemon.process is not None
    os.kill(daemon.process.pid, signal.SIGHUP)


def over_a_stream(daemon: Daemon, chance: random.Random) -> None:
    """A reader that comes, looks for a moment (a card stands still) and is gone without a word."""
    key = daemon.http("/api/v1/stream-key")
    address = _address(daemon) + chance.choice((key["mjpeg"], key["jpegs"]))
    with (
        contextlib.suppress(TimeoutError, urllib.error.URLError),
        urllib.request.urlopen(address, timeout=2) as answer,
    ):
        answer.read(chance.randrange(1, 200_000))


FRONTS: tuple[Front, ...] = (
    *(over_http,) * 6,
    *(over_websocket,) * 2,
    *(over_a_stream,) * 2,
    over_cli,
    over_a_reloaded_file,
)
"""As often as each stands here."""


def panic_over_http(daemon: Daemon, osc_port: int) -> None:
    daemon.submit(command="mode", mode="panic")


def panic_over_websocket(daemon: Daemon, osc_port: int) -> None:
    with _websocket(daemon) as ws:
        ws.send(json.dumps({"type": "command", "id": 1, "command": {"command": "mode", "mode": "panic"}}))
        while json.loads(ws.recv(timeout=5)).get("id") != 1:
            continue


def panic_over_osc(daemon: Daemon, osc_port: int) -> None:
    with pythonosc.udp_client.SimpleUDPClient("127.0.0.1", osc_port) as client:
        client.send_message("/phosphene/panic", [])


def panic_over_cli(daemon: Daemon, osc_port: int) -> None:
    daemon.command("panic")


PANIC = {
    "HTTP": panic_over_http,
    "WebSocket": panic_over_websocket,
    "OSC": panic_over_osc,
    "the command line": panic_over_cli,
}


@contextlib.contextmanager
def _websocket(daemon: Daemon) -> Iterator[websockets.sync.client.ClientConnection]:
    """Connected, the token sent."""
    url = f"{_address(daemon).replace('http', 'ws')}/api/v1/ws"
    with websockets.sync.client.connect(url, open_timeout=5) as ws:
        ws.send(json.dumps({"token": _token(daemon)}))
        yield ws


def _address(daemon: Daemon) -> str:
    run = json.loads((daemon.home / "runtime" / "phosphene" / "run.json").read_text())
    return f"http://127.0.0.1:{run['port']}"


def _token(daemon: Daemon) -> str:
    return (daemon.home / "state" / "phosphene" / "token").read_text().strip()
