"""The page opened to the network: by this machine's own address and by a name that is allowed, with the token only."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path

import httpx
import pytest

from daemon.commands.page import lan_address, own_address
from daemon.exit_codes import Refused
from integrations.web.api import Extras
from integrations.web.auth import StreamKey
from integrations.web.server import build_app, serve
from pipeline.errors import PhospheneError

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from fake_daemon import FakeControl

TOKEN = "a-token-for-the-test"


@pytest.fixture
def address():
    """The server on every interface; its address in the network."""
    try:
        own = own_address()
    except PhospheneError as error:
        pytest.skip(error.message)
    ready, ports = threading.Event(), []

    async def run():
        app = build_app(
            FakeControl(), None, token=TOKEN, stream_key=StreamKey(), settings_schema={},
            allowed_hosts=["Studio.local"],
            extras=Extras(config=dict, reload=dict, stop=lambda: None),
        )  # fmt: skip
        serving = asyncio.create_task(
            serve(app, "0.0.0.0", 0, lambda port: (ports.append(port), ready.set()))
        )
        stop.append((asyncio.get_running_loop(), serving))
        await asyncio.wait({serving})

    stop: list = []
    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert ready.wait(20)
    yield lan_address("0.0.0.0", ports[0]), own
    loop, serving = stop[0]
    loop.call_soon_threadsafe(serving.cancel)
    thread.join(10)


def test_a_phone_reaches_the_page_and_needs_the_token(address):
    base, own = address
    assert own in base
    with httpx.Client(base_url=base, trust_env=False) as client:
        assert client.get("/").status_code == 200
        assert client.get("/api/v1/state").status_code == 401
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert client.get("/api/v1/state", headers=bearer).status_code == 200
        port = base.rpartition(":")[2]
        for host, status in (
            (f"studio.local:{port}", 200),
            (f"evil.example:{port}", 421),
            (f"192.0.2.55:{port}", 421),
        ):
            assert client.get("/api/v1/state", headers={**bearer, "Host": host}).status_code == status, host
        foreign = {**bearer, "Origin": "http://evil.example"}
        assert client.post("/api/v1/commands", headers=foreign, json={"command": "undo"}).status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_a_page_for_this_computer_only_has_no_code(host):
    with pytest.raises(Refused, match="other devices cannot reach") as caught:
        lan_address(host, 8520)
    assert "web.host" in caught.value.mend


def test_addresses_of_one_interface():
    assert lan_address("192.168.7.4", 8520) == "http://192.168.7.4:8520"
    assert lan_address("fd00::7", 8520) == "http://[fd00::7]:8520"


def test_the_code_holds_the_address_with_the_token(tmp_path, daemon_in):
    """The real daemon, opened to the network; the code is read back from the picture a scanner would see."""
    import cv2
    import numpy as np

    try:
        own_address()
    except PhospheneError as error:
        pytest.skip(error.message)
    with daemon_in(tmp_path).start("--host", "0.0.0.0", "--source", "demo", "--sink", "null") as running:
        running.wait(lambda s: s["address"], 60)
        printed = running.command("open", "--qr").stdout
        token = (tmp_path / "state" / "phosphene" / "token").read_text().strip()
        lines = [line for line in printed.splitlines() if set(line) <= set("▀▄█ ") and line.strip()]
        width = max(map(len, lines))
        shades = {"█": (255, 255), "▀": (255, 0), "▄": (0, 255), " ": (0, 0)}
        rows = [[shades[c][half] for c in line.ljust(width, "█")] for line in lines for half in (0, 1)]
        picture = np.kron(np.array(rows, np.uint8), np.ones((8, 8), np.uint8))
        picture = cv2.copyMakeBorder(picture, 40, 40, 40, 40, cv2.BORDER_CONSTANT, value=255)
        text, *_ = cv2.QRCodeDetector().detectAndDecode(picture)
        assert text.endswith(f"#token={token}")
        assert text.partition("/#")[0] == printed.strip().splitlines()[-1]
        assert running.end() == 0
