"""The connection to a real OBS: found whenever it comes, whatever it does, and nothing is left behind."""

from __future__ import annotations

import logging
import os
import threading
import time

import psutil
import pytest

from integrations.obs import integration as coming_back
from integrations.obs.connection import open_connection
from integrations.obs.errors import AuthFailedError, LostError, RefusedRequestError
from integrations.obs.integration import ObsIntegration
from integrations.obs.options import Options
from integrations.obs.own_config import own_config
from integrations.obs.server import Server

pytestmark = pytest.mark.e2e


class NoControl:
    def subscribe(self, listener):
        return lambda: None


class Running:
    """The integration on a thread, as the daemon runs it."""

    def __init__(self, **options):
        self.integration = ObsIntegration(Options(**options), NoControl())
        self.halt = threading.Event()
        self.thread = threading.Thread(target=self.integration.run, args=(self.halt,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.halt.set()
        began = time.monotonic()
        self.thread.join(5)
        assert time.monotonic() - began < 1.0, "it did not end within a second"

    def until(self, state, seconds=8.0):
        began = time.monotonic()
        while self.integration.status()["status"] != state:
            assert time.monotonic() - began < seconds, self.integration.status()
            time.sleep(0.01)
        return time.monotonic() - began


@pytest.fixture
def at(studio):
    return {"port": studio.port, "password": studio.password}


def test_its_own_settings_have_port_and_password(studio):
    found = own_config({"HOME": "/nowhere", "XDG_CONFIG_HOME": str(studio.settings_home)})
    assert (found.enabled, found.port, found.password) == (True, studio.port, studio.password)
    with open_connection(Server("127.0.0.1", found.port, found.password)) as obs:
        assert obs.request("GetVersion")["rpcVersion"] == 1


def test_requests_and_refusals(obs):
    assert obs.request("GetSceneList")["currentProgramSceneName"]
    with pytest.raises(RefusedRequestError, match="600") as refused:
        obs.request("SetCurrentProgramScene", {"sceneName": "there is none"})
    assert refused.value.code == 600
    assert obs.request("GetStudioModeEnabled") == {"studioModeEnabled": False}


def test_the_wrong_password_then_the_right_one(studio, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(studio.settings_home))
    with pytest.raises(AuthFailedError, match="does not take the password"):
        open_connection(Server("127.0.0.1", studio.port, "guessed", "a guess"))
    with pytest.raises(AuthFailedError, match="wants a password"):
        open_connection(Server("127.0.0.1", studio.port))
    file = studio.settings_home / "obs-studio" / "plugin_config" / "obs-websocket" / "config.json"
    good = file.read_text()
    file.write_text(good.replace('"server_password": "', '"server_password": "not '))
    try:
        with Running(port=studio.port) as running:
            running.until("auth_failed")
            status = running.integration.status()
            assert "does not take the password" in status["error"]
            assert "Show Connect Info" in status["mend"]
            file.write_text(good)
            running.until("connected")
    finally:
        file.write_text(good)


def test_it_ends_at_once_even_while_it_asks_a_hung_one(studio, at):
    studio.freeze()
    try:
        with Running(**at):
            time.sleep(0.3)
    finally:
        studio.thaw()
    try:
        with Running(**at) as running:
            running.until("connected")
            studio.freeze()
            time.sleep(1.2)  # it waits for an answer
    finally:
        studio.thaw()


def test_it_quits_in_its_normal_time_and_is_found_again(studio, at):
    alone = studio.quit()
    studio.start()
    with Running(**at) as running, studio.connection(on_event=lambda *_: None):
        running.until("connected")
        watched = studio.quit()
        running.until("disconnected", 1.0)
        studio.start()
        running.until("connected")
        studio.kill()
        running.until("disconnected", 1.0)
        studio.start()
        running.until("connected")
        assert running.integration.status()["connections"] == 3
    print(f"OBS quits in {alone:.2f} s alone, in {watched:.2f} s with Phosphene connected")
    assert watched < alone + 3.0


def test_a_hundred_reconnects_leave_nothing(studio, at, monkeypatch):
    monkeypatch.setattr(coming_back, "FIRST_S", 0.0)
    with Running(**at) as running:
        running.until("connected")
        process = psutil.Process()
        before = (threading.active_count(), process.num_fds())
        for number in range(2, 102):
            cut(process, studio.port)
            deadline = time.monotonic() + 8
            while running.integration.status()["connections"] < number:
                assert time.monotonic() < deadline, running.integration.status()
                time.sleep(0.002)
        running.until("connected")
        time.sleep(0.2)
        assert (threading.active_count(), process.num_fds()) == before


def cut(process, port):
    """End this process's connections to OBS as a failing network does, from below."""
    import socket

    for connection in process.net_connections("tcp"):
        if connection.raddr and connection.raddr.port == port:
            duplicate = socket.socket(fileno=os.dup(connection.fd))
            duplicate.shutdown(socket.SHUT_RDWR)
            duplicate.close()


def test_the_password_is_in_no_log(studio, at, caplog):
    caplog.set_level(logging.DEBUG)
    with Running(**at) as running:
        running.until("connected")
    with pytest.raises(AuthFailedError) as failed:
        open_connection(Server("127.0.0.1", studio.port, studio.password + "x", "a guess"))
    with studio.connection() as obs, pytest.raises(RefusedRequestError):
        obs.request("GetInputSettings", {"inputName": "no"})
    with pytest.raises(LostError):
        obs.request("GetVersion")
    said = caplog.text + repr(studio.server) + repr(failed.value) + repr(failed.value.__context__)
    assert studio.password not in said
