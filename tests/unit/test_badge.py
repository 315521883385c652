"""The sign in the corner: on painted pictures alone, once, where it was asked for."""

from __future__ import annotations

import numpy as np
import pytest

from daemon.picture.badge import Badge
from daemon.picture.ladder import Rung
from daemon.picture.outlook import badge_of
from daemon.picture.view import Outlook, View
from daemon.settings import load
from pipeline.frame import Frame, Size, now_ns
from pipeline.mark import FOUND, score
from pipeline.messages import Mode
from pipeline.slot import SlotReader, SlotWriter, ring_bytes

SIZE = Size(640, 360)


def grey(size: Size = SIZE) -> np.ndarray:
    return np.full((size.height, size.width, 3), 128, np.uint8)


@pytest.mark.parametrize("corner", ["top-left", "top-right", "bottom-left", "bottom-right"])
@pytest.mark.parametrize("size", [SIZE, Size(1280, 720), Size(64, 64), Size(360, 640)])
def test_the_sign_is_in_its_corner_and_nowhere_else(corner, size):
    image = grey(size)
    Badge("AI", corner).put_on(image)
    changed = (image != 128).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert len(rows)
    assert (rows.mean() < size.height / 2) == corner.startswith("top")
    assert (columns.mean() < size.width / 2) == corner.endswith("left")
    assert changed.mean() < (0.02 if size.height >= 360 and size.width >= 640 else 0.5)
    assert image.max() > 200, "white letters"


def test_what_the_settings_ask_for():
    off = badge_of(load({}, environment={}).settings)
    assert off == Badge()
    image = grey()
    off.put_on(image)
    assert (image == 128).all()
    both = badge_of(
        load({"badge": {"visible": True, "text": "painted", "invisible": True}}, environment={}).settings
    )
    assert both == Badge("painted", "bottom-right", True)


def test_every_sink_gets_it_once_on_painted_pictures_and_never_on_the_camera_s_own():
    styled, raw = bytearray(ring_bytes(SIZE)), bytearray(ring_bytes(SIZE))
    badge = Badge("AI", "bottom-right", True)
    now = [Outlook(badge=badge)]
    views = [
        View(SIZE, SlotReader(styled, SIZE), lambda: SlotReader(raw, SIZE), lambda: now[0]) for _ in range(2)
    ]
    SlotWriter(styled, SIZE).put(Frame(grey(), 1, now_ns(), now_ns(), revision=1))
    for view in views:
        first, rung = view.now()
        assert rung is Rung.STYLED
        assert score(first.image) > FOUND
        kept = first.image.copy()
        again, _ = view.now()
        assert (again.image == kept).all(), "marked twice"
    now[0] = Outlook(mode=Mode.BYPASS, raw=True, badge=badge)
    SlotWriter(raw, SIZE).put(Frame(grey(), 2, now_ns(), now_ns()))
    shown, rung = views[0].now()
    assert rung is Rung.RAW
    assert (shown.image == 128).all()
