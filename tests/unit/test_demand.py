"""Awake for consumers, asleep a while after the last one has gone; and the capture role that closes and opens."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import pytest

from daemon.demand import LINGER_S, Demand
from pipeline import capture_role, v4l2
from pipeline.channel import QueueChannel
from pipeline.configs import CaptureConfig, to_json
from pipeline.frame import Size
from pipeline.slot import SlotReader, SlotWriter, ring_bytes

SIZE = Size(64, 48)


@dataclass
class Sink:
    kind: str
    watched: bool = False


def test_it_sleeps_from_the_start_wakes_at_once_and_lingers():
    now = [100.0]
    demand = Demand(clock=lambda: now[0])
    camera, preview = Sink("virtual_camera"), Sink("preview")
    assert demand.look("on_demand", [camera, preview])
    assert demand.asleep
    preview.watched = True
    assert demand.look("on_demand", [camera, preview])
    assert not demand.asleep
    assert demand.consumers == ("preview",)
    preview.watched = False
    now[0] += LINGER_S - 0.1
    assert not demand.look("on_demand", [camera, preview])
    assert not demand.asleep
    now[0] += 0.2
    assert demand.look("on_demand", [camera, preview])
    assert demand.asleep
    assert demand.look("always", [camera, preview])
    assert not demand.asleep
    assert not demand.look("always", [camera, preview])


class Camera:
    """A source that says whether it is open."""

    open = 0

    def __init__(self) -> None:
        from pipeline.sources import test_pattern

        self._inner = test_pattern.TestPattern(test_pattern.Options(width=80, height=60, fps=100))
        self.info = self._inner.info
        Camera.open += 1

    def read(self):
        return self._inner.read()

    def close(self) -> None:
        Camera.open -= 1


@pytest.fixture
def role(monkeypatch):
    from pipeline.sources import test_pattern

    monkeypatch.setattr(test_pattern, "create", lambda options: Camera())
    Camera.open = 0
    host, inside = QueueChannel.pair()
    camera, raw = bytearray(ring_bytes(SIZE)), bytearray(ring_bytes(SIZE))
    thread = threading.Thread(
        target=capture_role.run_capture, args=(inside, SlotWriter(camera, SIZE), SlotWriter(raw, SIZE))
    )
    thread.start()
    yield host, SlotReader(camera, SIZE)
    host.send({"do": "stop"})
    thread.join(5)
    assert not thread.is_alive()
    assert Camera.open == 0


def hear(host: QueueChannel, say: str) -> dict:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        message = host.receive(0.2)
        if message is not None and message["say"] == say:
            return message
    raise AssertionError(f"the role never said {say!r}")


def test_a_capture_role_asleep_has_no_camera_open_and_wakes_within_a_moment(role):
    host, pictures = role
    config = CaptureConfig("test_pattern", {}, SIZE, SIZE, "cover")
    host.send({"do": "start", "config": to_json(config), "raw": False, "asleep": True})
    hear(host, "asleep")
    assert Camera.open == 0
    for _ in range(2):
        began = time.monotonic()
        host.send({"do": "sleep", "on": False})
        hear(host, "opened")
        while pictures.take() is None:
            assert time.monotonic() < began + 2
        assert Camera.open == 1
        host.send({"do": "sleep", "on": True})
        hear(host, "asleep")
        assert Camera.open == 0
        pictures.forget()


def test_what_inotify_says_is_counted():
    import struct

    def said(mask: int, name: bytes = b"") -> bytes:
        return struct.pack("iIII", 1, mask, 0, len(name)) + name

    data = (
        said(v4l2.IN_OPEN)
        + said(v4l2.IN_OPEN, b"name\0\0\0\0")
        + said(0x10)
        + said(0x08)
        + said(v4l2.IN_OPEN)
    )
    assert v4l2.opened_less_closed(data) == 1
    assert v4l2.opened_less_closed(b"") == 0
