"""The never-black ladder, and its pictures: what a viewer sees, for every mode and age."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from daemon.picture.ladder import Rung, choose, raw_allowed
from daemon.picture.slate import slate
from daemon.picture.view import Outlook, View
from pipeline.frame import Frame, Size, now_ns
from pipeline.messages import Mode
from pipeline.slot import SlotReader, SlotWriter, ring_bytes

SIZE = Size(160, 90)
AGES = (None, 0.0, 0.4, 1.9, 2.1, 600.0)


@pytest.mark.parametrize(("mode", "on_fault"), list(itertools.product(Mode, ("slate", "blur", "raw"))))
def test_the_raw_camera_appears_only_where_the_user_chose_it(mode, on_fault):
    for styled, raw in itertools.product(AGES, AGES):
        rung = choose(mode, styled_age_s=styled, raw_age_s=raw, hold_s=2.0, on_fault=on_fault)
        if rung is Rung.RAW:
            assert mode is Mode.BYPASS or on_fault == "raw"
            assert raw_allowed(mode, on_fault)
        if rung is Rung.BLUR:
            assert on_fault == "blur"
            assert raw_allowed(mode, on_fault)
        if mode is Mode.PANIC:
            assert rung is Rung.SLATE


@pytest.mark.parametrize(
    ("styled", "raw", "on_fault", "expected"),
    [
        (0.1, None, "slate", Rung.STYLED),
        (1.0, 0.1, "raw", Rung.HELD),
        (2.5, 0.1, "slate", Rung.SLATE),
        (2.5, 0.1, "blur", Rung.BLUR),
        (2.5, 0.1, "raw", Rung.RAW),
        (2.5, 3.0, "raw", Rung.SLATE),
        (None, None, "raw", Rung.SLATE),
    ],
)
def test_the_order_of_the_rungs(styled, raw, on_fault, expected):
    assert choose(Mode.STYLED, styled_age_s=styled, raw_age_s=raw, hold_s=2.0, on_fault=on_fault) is expected


class Fixture:
    """A view over two in-process slots, with a count of how often the raw one was opened."""

    def __init__(self) -> None:
        self.styled_memory, self.raw_memory = bytearray(ring_bytes(SIZE)), bytearray(ring_bytes(SIZE))
        self.styled, self.raw = SlotWriter(self.styled_memory, SIZE), SlotWriter(self.raw_memory, SIZE)
        self.outlook = Outlook()
        self.raw_opened = 0
        self.view = View(SIZE, SlotReader(self.styled_memory, SIZE), self.open_raw, lambda: self.outlook)

    def open_raw(self) -> SlotReader:
        self.raw_opened += 1
        return SlotReader(self.raw_memory, SIZE)

    def put(
        self, writer: SlotWriter, value: int, age_s: float = 0.0, seq: int = 0, revision: int = 1
    ) -> None:
        image = np.full((SIZE.height, SIZE.width, 3), value, np.uint8)
        writer.put(Frame(image, seq, now_ns() - int(age_s * 1e9), 0, revision))


@pytest.fixture
def at() -> Fixture:
    return Fixture()


def test_a_view_starts_with_a_slate_and_then_shows_the_painting(at):
    frame, rung = at.view.now()
    assert rung is Rung.SLATE
    assert frame.image.shape == (SIZE.height, SIZE.width, 3)
    assert 5 < frame.image.mean() < 200, "neither black nor white"
    at.put(at.styled, 77)
    frame, rung = at.view.now()
    assert rung is Rung.STYLED
    assert (frame.image == 77).all()


def test_raw_memory_is_not_even_opened_until_it_is_allowed(at):
    at.put(at.raw, 200)
    at.put(at.styled, 50, age_s=5)
    for _ in range(3):
        assert at.view.now()[1] is Rung.SLATE
    assert at.raw_opened == 0
    at.outlook = Outlook(mode=Mode.BYPASS, raw=True)
    at.view.now()
    at.put(at.raw, 200, revision=0)
    frame, rung = at.view.now()
    assert rung is Rung.RAW
    assert (frame.image == 200).all()
    assert at.raw_opened == 1


def test_blur_shows_no_face(at):
    at.outlook = Outlook(on_fault="blur", raw=True)
    at.view.now()
    rng = np.random.default_rng()
    image = np.zeros((SIZE.height, SIZE.width, 3), np.uint8)
    image[20:70, 50:110] = rng.integers(0, 256, (50, 60, 3), np.uint8)
    at.raw.put(Frame(image, 0, now_ns(), 0))
    frame, rung = at.view.now()
    assert rung is Rung.BLUR
    edges = np.abs(np.diff(frame.image.astype(int), axis=1))
    assert edges.max() < 40 < np.abs(np.diff(image.astype(int), axis=1)).max()


def test_panic_forgets_every_picture_from_before_it(at):
    at.put(at.styled, 50)
    assert at.view.now()[1] is Rung.STYLED
    at.put(at.styled, 60)
    at.outlook = Outlook(mode=Mode.PANIC)
    assert at.view.now()[1] is Rung.SLATE
    at.outlook = Outlook()
    assert at.view.now()[1] is Rung.SLATE, "a picture from before the panic came back"
    at.put(at.styled, 70)
    assert at.view.now()[1] is Rung.STYLED


def test_freeze_holds_one_picture_however_long(at):
    at.put(at.styled, 50, seq=1)
    at.view.now()
    at.outlook = Outlook(mode=Mode.FREEZE, hold_s=0.0)
    at.put(at.styled, 60, seq=2)
    frame, rung = at.view.now()
    assert rung is Rung.FROZEN
    assert frame.seq == 1


@pytest.mark.parametrize("size", [Size(160, 90), Size(1280, 720), Size(720, 1280), Size(64, 64)])
def test_a_slate_has_the_right_size_and_its_words_stay_inside(size):
    long = "the camera Integrated_Webcam_HD was unplugged " * 6
    image = slate(size, "No picture from the camera", long)
    assert image.shape == (size.height, size.width, 3)
    assert not image.flags.writeable
    plain = slate(size, "", "")
    changed = np.abs(image.astype(int) - plain.astype(int)).max(axis=(1, 2)) > 0
    assert changed.any(), "there is text"
    assert not changed[0], "no text at the edge"
