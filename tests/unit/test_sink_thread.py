"""A sink's thread keeps the pace, repeats the newest frame, and opens a failed sink again; nothing else notices."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from daemon.picture.sink_thread import SinkThread
from daemon.picture.view import Outlook, View
from pipeline.errors import SinkError
from pipeline.frame import Frame, Size, now_ns
from pipeline.messages import Event
from pipeline.sink import OutputFormat
from pipeline.slot import SlotReader, SlotWriter, ring_bytes

SIZE = Size(64, 48)
FORMAT = OutputFormat(SIZE, 50.0)


class ListSink:
    detail = "a list"
    wanted = True

    def __init__(self, fail_after: int | None = None, error: Exception | None = None) -> None:
        self.frames: list[Frame] = []
        self.times: list[int] = []
        self.closed = False
        self.fail_after = fail_after
        self.error = error or SinkError("the device has gone", "plug it in")

    def send(self, frame: Frame) -> None:
        if self.fail_after is not None and len(self.frames) >= self.fail_after:
            raise self.error
        self.frames.append(frame)
        self.times.append(now_ns())

    def close(self) -> None:
        self.closed = True


class Bench:
    def __init__(self) -> None:
        memory = bytearray(ring_bytes(SIZE))
        self.writer = SlotWriter(memory, SIZE)
        raw = bytearray(ring_bytes(SIZE))
        self.view = View(SIZE, SlotReader(memory, SIZE), lambda: SlotReader(raw, SIZE), Outlook)
        self.events: list[Event] = []
        self.opened: list[ListSink] = []

    def thread(self, *lives: object) -> SinkThread:
        todo = iter(lives)

        def create(output: OutputFormat) -> ListSink:
            life = next(todo)
            if isinstance(life, Exception):
                raise life
            assert isinstance(life, ListSink)
            self.opened.append(life)
            return life

        thread = SinkThread("list", create, self.view, FORMAT, self.events.append)
        thread.start()
        return thread

    def put(self, seq: int) -> None:
        image = np.full((SIZE.height, SIZE.width, 3), seq, np.uint8)
        self.writer.put(Frame(image, seq, now_ns(), 0, revision=5))


def until(condition) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_newest_frame_is_repeated_and_latency_counts_new_ones_only(bench):
    sink = ListSink()
    thread = bench.thread(sink)
    bench.put(1)
    until(lambda: [f.seq for f in sink.frames].count(1) >= 3)
    bench.put(2)
    until(lambda: [f.seq for f in sink.frames].count(2) >= 3)
    thread.stop()
    thread.join(2)
    assert sink.closed
    assert thread.shown == 2
    assert thread.revision == 5
    p50 = thread.latency_ms.at(50)[0]
    assert p50 is not None
    assert 0 < p50 < 2000


def test_a_sink_that_fails_is_closed_and_opened_again(bench):
    first, second = ListSink(fail_after=3), ListSink()
    thread = bench.thread(SinkError("busy", "close the other program"), first, second)
    until(lambda: len(second.frames) > 3)
    status = thread.status()
    thread.stop()
    thread.join(2)
    assert first.closed
    assert status["status"] == "open"
    said = [event.message for event in bench.events]
    assert any("busy" in text for text in said)
    assert any("the device has gone" in text for text in said)


def test_an_unforeseen_error_is_a_fault_of_that_sink_and_not_its_end(bench):
    first, second = ListSink(fail_after=2, error=RuntimeError("surprise")), ListSink()
    thread = bench.thread(first, second)
    until(lambda: len(second.frames) > 2)
    thread.stop()
    thread.join(2)
    assert first.closed
    assert any("surprise" in event.message for event in bench.events)


def test_a_sink_nobody_wants_is_not_sent_to(bench):
    sink = ListSink()
    sink.wanted = False
    thread = bench.thread(sink)
    bench.put(1)
    time.sleep(0.1)
    assert sink.frames == []
    sink.wanted = True
    until(lambda: sink.frames)
    thread.stop()
    thread.join(2)


def test_who_begins_to_look_finds_nothing_stuck_and_no_gap(bench, monkeypatch):
    monkeypatch.setattr("daemon.picture.sink_thread.STUCK_S", 0.4)
    sink = ListSink()
    thread = bench.thread(sink)
    bench.put(1)
    until(lambda: sink.frames)
    sink.wanted = False
    time.sleep(0.6)
    sink.wanted = True
    assert not thread.stuck()
    seen = len(sink.frames)
    until(lambda: len(sink.frames) > seen + 1)
    thread.stop()
    thread.join(2)
    assert thread.longest_gap_ms < 500, "the time in which nobody looked is no gap"


def test_a_hanging_device_call_is_seen_and_does_not_hold_the_exit(bench, monkeypatch):
    monkeypatch.setattr("daemon.picture.sink_thread.STUCK_S", 0.1)
    release = threading.Event()
    sink = ListSink()
    sink.send = lambda frame: release.wait(10)  # type: ignore[method-assign]
    thread = bench.thread(sink)
    until(thread.stuck)
    thread.stop()
    thread.join(0.2)
    assert thread.is_alive()
    assert thread.daemon, "the process can end all the same"
    release.set()
    thread.join(2)
