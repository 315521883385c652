"""Before and after: the camera's own picture leaves its process only where allowed, and only while looked at."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from daemon.picture.camera_view import CameraView
from daemon.picture.ladder import raw_allowed
from pipeline.frame import Size
from pipeline.messages import LiveState, Mode
from pipeline.sink import OutputFormat
from pipeline.sinks.preview import Options, create
from pipeline.slot import SlotReader, SlotWriter, ring_bytes

SIZE = Size(64, 48)


class Desk:
    def __init__(self, *, allowed: bool) -> None:
        memory = bytearray(ring_bytes(SIZE))
        self.raw = SlotWriter(memory, SIZE)
        self.allowed, self.state = allowed, LiveState()
        self.asked: list[bool] = []
        self.opened = 0
        self.said: list[str] = []
        self.preview = create(Options(fps=240), OutputFormat(SIZE, 30))

        def reader() -> SlotReader:
            self.opened += 1
            return SlotReader(memory, SIZE)

        self.view = CameraView(
            self.preview,
            30,
            reader=reader,
            allowed=lambda: self.allowed,
            state=lambda: self.state,
            ask=self.asked.append,
            emit=lambda event: self.said.append(event.message),
        )

    def picture(self, t_capture: int) -> None:
        self.raw.begin(SIZE)[...] = np.full((48, 64, 3), 200, np.uint8)
        self.raw.commit(seq=3, t_capture=t_capture)

    def mode(self, mode: Mode) -> None:
        self.state = dataclasses.replace(self.state, mode=mode)


def test_nobody_looking_costs_nothing_and_maps_nothing():
    desk = Desk(allowed=True)
    desk.view.turn()
    desk.picture(1)
    desk.view.turn()
    assert (desk.opened, desk.asked, desk.preview.latest_jpeg()) == (0, [], None)


def test_without_the_setting_a_viewer_gets_nothing():
    desk = Desk(allowed=False)
    with desk.preview.subscribe():
        desk.picture(1)
        desk.view.turn()
        assert (desk.opened, desk.asked, desk.preview.latest_jpeg()) == (0, [], None)
    why = desk.view.refused()
    assert why is not None
    assert "show_raw: true" in why.mend


def test_a_viewer_sees_what_comes_after_it_began_to_look():
    desk = Desk(allowed=True)
    desk.picture(1)
    with desk.preview.subscribe():
        desk.view.turn()
        assert desk.preview.latest_jpeg() is None, "a picture from before anybody looked"
        desk.picture(2_000)
        desk.view.turn()
        jpeg = desk.preview.latest_jpeg()
        assert jpeg is not None
        assert (jpeg.t_capture, jpeg.revision) == (2_000, 0)
    desk.view.turn()
    assert desk.asked == [True, False]
    assert len(desk.said) == 2


@pytest.mark.parametrize("end", ["panic", "forbidden"])
def test_panic_and_a_withdrawn_permission_end_it_at_once(end):
    desk = Desk(allowed=True)
    with desk.preview.subscribe():
        desk.view.turn()
        desk.picture(1)
        desk.view.turn()
        assert desk.preview.latest_jpeg() is not None
        if end == "panic":
            desk.mode(Mode.PANIC)
        else:
            desk.allowed = False
        assert desk.view.refused() is not None
        desk.picture(2)
        desk.view.turn()
        assert desk.preview.latest_jpeg() is None
        assert desk.asked == [True, False]
        desk.mode(Mode.STYLED)
        desk.allowed = True
        desk.view.turn()
        assert desk.preview.latest_jpeg() is None, "nothing from before comes back"
        desk.picture(3)
        desk.view.turn()
        assert desk.preview.latest_jpeg() is not None


def test_being_looked_at_asks_for_raw_pictures_but_never_in_panic():
    assert raw_allowed(Mode.STYLED, "slate", watched=True)
    assert not raw_allowed(Mode.STYLED, "slate")
    assert not raw_allowed(Mode.PANIC, "slate", watched=True)
    assert not raw_allowed(Mode.PANIC, "raw", watched=True)
