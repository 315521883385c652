"""Newest-frame slots: newest wins, drops are counted, and no reader ever sees half a picture."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from pipeline.frame import Frame, Rect, Size, now_ns
from pipeline.shared_memory import PipeBell, SharedRing
from pipeline.slot import SlotReader, SlotWriter, ThreadBell, ring_bytes

SIZE = Size(64, 48)


def frame(seq: int, value: int, size: Size = SIZE) -> Frame:
    image = np.full((size.height, size.width, 3), value, np.uint8)
    return Frame(
        image, seq=seq, t_capture=now_ns(), t_published=0, revision=seq * 2, content=Rect(1, 2, 3, 4)
    )


@pytest.fixture
def slot() -> tuple[SlotWriter, SlotReader]:
    memory = bytearray(ring_bytes(SIZE))
    return SlotWriter(memory, SIZE), SlotReader(memory, SIZE)


def test_a_frame_arrives_whole(slot):
    writer, reader = slot
    assert reader.take() is None
    sent = frame(7, 200)
    writer.put(sent)
    got = reader.take()
    assert got is not None
    assert np.array_equal(got.image, sent.image)
    assert (got.seq, got.t_capture, got.revision, got.content) == (7, sent.t_capture, 14, Rect(1, 2, 3, 4))
    assert sent.t_capture <= got.t_published <= now_ns()
    assert reader.take() is None


def test_the_newest_wins_and_drops_are_counted(slot):
    writer, reader = slot
    for i in range(10):
        writer.put(frame(i, i))
    assert reader.take().seq == 9
    assert reader.dropped == 9
    writer.put(frame(10, 10))
    assert reader.take().seq == 10
    assert reader.dropped == 9


def test_a_picture_stays_valid_until_the_second_take_after_it(slot):
    writer, reader = slot
    writer.put(frame(0, 11))
    first = reader.take()
    writer.put(frame(1, 22))
    reader.take()
    assert (first.image == 11).all()


def test_sizes_may_change_up_to_the_largest(slot):
    writer, reader = slot
    writer.put(frame(0, 5, Size(20, 10)))
    assert reader.take().image.shape == (10, 20, 3)
    with pytest.raises(ValueError, match="does not fit"):
        writer.begin(Size(65, 48))


def test_a_new_writer_goes_on_where_a_dead_one_stopped_in_the_middle_of_a_frame(slot):
    writer, reader = slot
    writer.put(frame(0, 1))
    writer.begin(SIZE)[:] = 99  # and dies before commit
    assert reader.take().seq == 0
    assert reader.take() is None
    memory_writer = SlotWriter.__new__(SlotWriter)
    memory_writer.__dict__.update(writer.__dict__)
    memory_writer.put(frame(1, 2))
    got = reader.take()
    assert got.seq == 1
    assert (got.image == 2).all()


def test_a_bell_wakes_a_waiting_thread():
    memory, bell = bytearray(ring_bytes(SIZE)), ThreadBell()
    writer, reader = SlotWriter(memory, SIZE, bell.ring), SlotReader(memory, SIZE, bell)
    threading.Timer(0.05, lambda: writer.put(frame(3, 3))).start()
    assert reader.wait(5.0).seq == 3
    assert reader.wait(0.02) is None


_WRITER = """
import sys, numpy as np
from pipeline.frame import Size, now_ns
from pipeline.shared_memory import SharedRing, PipeBell
ring, bell = SharedRing.attach(sys.argv[1]), PipeBell.attach(sys.argv[2])
writer = ring.writer(bell)
n = 0
while True:
    n += 1
    writer.begin(ring.largest)[:] = n % 251
    writer.commit(seq=n, t_capture=now_ns(), revision=n)
"""


def test_no_torn_frame_between_processes_and_a_killed_writer_can_be_replaced():
    size = Size(640, 360)
    ring, bell = SharedRing.create(size), PipeBell.create()
    reader = ring.reader(bell)

    def start() -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-c", _WRITER, ring.argument, bell.argument]
        return subprocess.Popen(argv, pass_fds=(*ring.fds, *bell.fds))

    last = 0
    for _ in range(2):  # the second life begins wherever SIGKILL hit the first
        child = start()
        try:
            before = reader.newest_number()
            seen = 0
            deadline = time.monotonic() + 20
            while seen < 300 and time.monotonic() < deadline:
                got = reader.wait(1.0)
                if got is None:
                    continue
                assert got.image.min() == got.image.max() == got.seq % 251, "a torn frame"
                assert got.t_capture <= now_ns(), "the clock is not the same in both processes"
                seen += 1
            assert seen == 300
            assert reader.newest_number() > before >= last
            last = reader.newest_number()
        finally:
            child.kill()
            child.wait()
    bell.close()
    ring.close()
