"""OSC for real: python-osc's UDP client against the integration and the real hub."""

import math
import socket
import threading
import time

import pytest

from daemon.control import ControlHub
from daemon.settings import load
from integrations.osc.addresses import Addresses
from integrations.osc.integration import Osc, last_values
from integrations.osc.options import Options
from pipeline.errors import PhospheneError
from pipeline.messages import Mode, SetValue, Undo

osc = pytest.importorskip("pythonosc.udp_client")

BIND = {"/1/fader1": "strength 0.2..0.6", "/1/push1": "oil over 1s", "/seed": "seed"}


class Stage:
    def __init__(self):
        self.hub = ControlHub(load({}, None, environment={}))
        self.osc = Osc(Options(enabled=True, port=0, bind=BIND), self.hub)
        self.halt = threading.Event()
        self.thread = threading.Thread(target=self.osc.run, args=(self.halt,))
        self.thread.start()
        self.until(lambda: self.osc.port)
        self.client = osc.SimpleUDPClient("127.0.0.1", self.osc.port)

    def send(self, address, *arguments):
        heard = self.osc.status()["heard"]
        self.client.send_message(address, list(arguments))
        self.until(lambda: self.osc.status()["heard"] > heard)
        return self.hub.state

    def until(self, true):
        deadline = time.monotonic() + 30
        while not true():
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def close(self):
        self.halt.set()
        began = time.monotonic()
        self.thread.join(30)
        assert time.monotonic() - began < 10
        self.client._sock.close()
        self.hub.close()


@pytest.fixture
def stage(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    made = Stage()
    yield made
    made.close()


def test_the_address_space(stage):
    assert stage.send("/phosphene/style", "neon", 2.0).style.name == "neon"
    assert stage.hub.state.morph_s == 2.0
    assert stage.send("/phosphene/set/strength", 0.4).style.strength == 0.4, (
        "0.4 and not its 32-bit neighbour"
    )
    assert stage.send("/phosphene/prompt", "a night over 2s").style.prompt == "a night over 2s"
    assert len(stage.send("/phosphene/blend", "neon", 0.7, "anime", 0.3).blend) == 2
    assert stage.send("/phosphene/seeds", 7, 0.5, 12, 0.5).seeds == ((7, 0.5), (12, 0.5))
    assert stage.send("/phosphene/do", "oil over 500ms").style.name == "oil"
    before = stage.hub.state.style.name
    assert stage.send("/phosphene/next").style.name != before
    assert stage.send("/phosphene/previous").style.name == before
    assert stage.send("/phosphene/undo").style.name != before
    assert stage.send("/phosphene/redo").style.name == before


def test_panic_and_buttons_that_send_a_1_and_a_0(stage):
    assert stage.send("/phosphene/panic", 1.0).mode is Mode.PANIC
    assert stage.send("/phosphene/panic", 0.0).mode is Mode.PANIC
    assert stage.send("/phosphene/resume", 1).mode is Mode.STYLED
    revision = stage.hub.state.revision
    assert stage.send("/phosphene/next", 0).revision == revision, "the button came up"
    assert stage.send("/phosphene/next", 1.0).morph_s == 0.0
    assert stage.send("/phosphene/next", 2.5).morph_s == 2.5


def test_own_addresses_move_values_over_their_range(stage):
    for position, strength in ((0.0, 0.2), (0.5, 0.4), (1.0, 0.6), (7.0, 0.6), (-3.0, 0.2)):
        assert stage.send("/1/fader1", position).style.strength == pytest.approx(strength)
    assert stage.send("/1/push1", 1).style.name == "oil"
    assert stage.send("/seed", 1.0).style.seed == 127


@pytest.mark.parametrize(
    ("address", "arguments", "word"),
    [
        ("/phosphene/style", ["nein"], "nein"),
        ("/phosphene/style", [3], "text"),
        ("/phosphene/style", [], "text"),
        ("/phosphene/set/strength", [9.0], "strength"),
        ("/phosphene/set/strength", [], "one value"),
        ("/phosphene/set/nothing", [1], "nothing"),
        ("/phosphene/blend", ["neon"], "in turn"),
        ("/phosphene/blend", ["neon", "much"], "number"),
        ("/phosphene/blend", ["neon", math.nan], "weight"),
        ("/phosphene/seeds", [7, -1.0], "weight"),
        ("/phosphene/fly", [], "no address"),
        ("/elsewhere", [1], "bound"),
        ("/1/fader1", ["up"], "number"),
        ("/1/fader1", [], "number"),
        ("/phosphene/style", ["x" * 5000], "longer"),
    ],
)
def test_what_is_wrong_is_said_and_changes_nothing(stage, address, arguments, word):
    revision = stage.hub.state.revision
    assert stage.send(address, *arguments).revision == revision
    assert word in stage.osc.status()["error"]
    assert stage.send("/phosphene/style", "neon").revision == revision + 1, "it goes on"
    assert stage.osc.status()["error"] is None


def test_datagrams_that_are_no_osc_do_no_harm(stage):
    raw = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for data in (
        b"",
        b"hello",
        b"/phosphene/style\0\0\0\0,s\0\0",
        b"#bundle\0" + b"\xff" * 40,
        bytes(60_000),
    ):
        raw.sendto(data, ("127.0.0.1", stage.osc.port))
    raw.close()
    assert stage.send("/phosphene/style", "neon").style.name == "neon"
    assert stage.thread.is_alive()


def test_a_flood_gives_few_commands_and_hides_no_panic(stage):
    revision = stage.hub.state.revision
    for n in range(150):  # what the system keeps of datagrams that nobody has read yet is about 250
        stage.client.send_message("/1/fader1", n / 150)
    stage.client.send_message("/phosphene/panic", [])
    stage.until(lambda: stage.hub.state.mode is Mode.PANIC)
    assert stage.hub.state.revision - revision < 120


def test_more_than_a_thousand_a_second_are_dropped_and_counted(stage, monkeypatch):
    monkeypatch.setattr("integrations.osc.integration.PER_SECOND", 20)
    for _ in range(60):
        stage.client.send_message("/1/fader1", 0.5)
    stage.until(lambda: stage.osc.status()["dropped"] > 0)
    time.sleep(1.05)
    stage.client.send_message("/phosphene/style", ["oil"])
    stage.until(lambda: stage.hub.state.style.name == "oil")


def test_of_a_value_only_the_last_position_counts():
    a, b, c = SetValue("strength", 0.1), SetValue("seed", 3), SetValue("strength", 0.2)
    assert last_values([a, b, c]) == [c, b]
    assert last_values([a, Undo(), c]) == [a, Undo(), c]


def test_a_port_that_is_taken_is_said(stage):
    other = Osc(Options(enabled=True, port=stage.osc.port), stage.hub)
    with pytest.raises(PhospheneError, match="cannot listen") as caught:
        other.run(threading.Event())
    assert "osc.port" in caught.value.mend


def test_addresses_need_no_socket():
    assert Addresses({}).command("/phosphene/freeze", [0]) is None
