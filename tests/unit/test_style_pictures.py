"""Pictures of styles: one request at a time, pauses, the cache on disk, and what is refused."""

import base64
import threading
from dataclasses import replace

import pytest

from daemon.bank.pictures import AGAIN_S, LEAST_PAUSE_S, LOST_S, SHARE, StylePictures
from daemon.settings import load
from pipeline.errors import PhospheneError
from pipeline.messages import LiveState, Mode

JPEG = base64.b64encode(b"a picture").decode()


class Desk:
    """The pictures with an engine that the test plays, and a clock that it moves."""

    def __init__(self, folder):
        self.settings = load({}, None, environment={}).settings
        self.state = LiveState()
        self.now = 1000.0
        self.asked, self.events = [], []
        self.pictures = StylePictures(
            lambda: self.settings, lambda: self.state, self.asked.append, self.events.append,
            lambda: folder, clock=lambda: self.now,
        )  # fmt: skip

    def watch(self, passed=0.0):
        self.now += passed
        self.pictures.watch(True)

    def answer(self, **facts):
        self.pictures.heard(
            {"say": "picture", "id": self.asked[-1]["id"], **(facts or {"jpeg": JPEG, "seconds": 0.05})}
        )


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return Desk(tmp_path / "pictures")


def test_a_picture_is_painted_once_and_kept(desk):
    data, key, reason = desk.pictures.get("neon")
    assert data is None
    assert reason
    assert desk.asked == [], "only the tick asks"
    desk.watch()
    assert desk.asked[0]["style"]["prompt"] == "neon cyberpunk"
    assert desk.asked[0]["of"] == "demo"
    desk.answer()
    assert desk.pictures.get("neon") == (b"a picture", key, "")
    assert desk.pictures.ready("neon") == (True, key)
    assert desk.events[-1].data == {"style": "neon", "key": key}
    again = Desk(desk.pictures._folder())
    assert again.pictures.get("neon")[0] == b"a picture"


def test_one_at_a_time_with_long_pauses_while_the_stream_runs(desk):
    for name in ("neon", "oil", "pixel"):
        desk.pictures.get(name)
    desk.watch()
    desk.watch(1)
    assert len(desk.asked) == 1, "one has not been answered"
    desk.answer(jpeg=JPEG, seconds=0.1)
    desk.watch(0.1 / SHARE - 0.01)
    assert len(desk.asked) == 1
    desk.watch(0.02)
    assert len(desk.asked) == 2
    desk.answer(jpeg=JPEG, seconds=0.0)
    desk.watch(LEAST_PAUSE_S - 0.01)
    assert len(desk.asked) == 2
    desk.state = replace(desk.state, mode=Mode.FREEZE)
    desk.watch(0.02)
    assert len(desk.asked) == 3


def test_nothing_is_asked_while_the_engine_is_not_ready(desk):
    desk.pictures.get("neon")
    desk.pictures.watch(False)
    assert desk.asked == []


def test_what_shows_makes_another_picture_and_a_name_or_colour_does_not(desk):
    before = desk.pictures.key("neon")

    def with_neon(**values):
        styles = {**desk.settings.styles, "neon": desk.settings.styles["neon"].model_copy(update=values)}
        return desk.settings.model_copy(update={"styles": styles})

    whole = desk.settings
    desk.settings = with_neon(colour="#ff0000", hotkey="f9")
    assert desk.pictures.key("neon") == before
    for values in ({"strength": 0.7}, {"prompt": "x"}, {"seed": 3}, {"loras": (("a", 1.0),)}):
        desk.settings = whole
        desk.settings = with_neon(**values)
        assert desk.pictures.key("neon") != before, values
    desk.settings = whole
    desk.state = replace(desk.state, t_index_list=(25, 45))
    assert desk.pictures.key("neon") != before
    desk.state = LiveState()
    model = whole.model.model_copy(update={"name": "some/model"})
    desk.settings = whole.model_copy(update={"model": model})
    assert desk.pictures.key("neon") != before


def test_a_style_that_cannot_be_painted_says_why_and_is_tried_again_later(desk):
    desk.pictures.get("neon")
    desk.watch()
    desk.answer(reason="its LoRA is broken")
    assert desk.pictures.get("neon")[2] == "its LoRA is broken"
    desk.watch(5)
    assert len(desk.asked) == 1
    desk.watch(AGAIN_S)
    assert len(desk.asked) == 2


def test_an_engine_that_was_restarted_holds_nothing_up(desk):
    desk.pictures.get("neon")
    desk.watch()
    desk.pictures.get("oil")
    desk.watch(LOST_S + 1)
    assert len(desk.asked) == 2
    late = desk.asked[0]["id"]
    desk.pictures.heard({"say": "picture", "id": late, "jpeg": JPEG})  # an answer nobody waits for
    desk.answer()
    assert desk.pictures.get("oil")[0] == b"a picture"


def test_a_live_picture_is_not_kept(desk):
    def engine(request):
        desk.asked.append(request)
        threading.Timer(0.02, lambda: desk.answer()).start()

    desk.pictures._ask = engine
    assert desk.pictures.live("neon", 30.0) == b"a picture"
    assert desk.asked[-1]["of"] == "live"
    assert desk.pictures.get("neon")[0] is None
    with pytest.raises(KeyError):
        desk.pictures.live("nein", 1.0)


def test_a_live_picture_that_does_not_come_is_said_and_frees_the_engine(desk):
    with pytest.raises(PhospheneError, match="in time"):
        desk.pictures.live("neon", 0.15)
    desk.pictures.get("oil")
    desk.watch(10)
    assert len(desk.asked) == 2


def test_a_full_disk_is_a_warning(desk, monkeypatch):
    desk.pictures.get("neon")
    desk.watch()
    monkeypatch.setattr(
        desk.pictures, "_keep", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left"))
    )
    desk.answer()
    assert desk.events[-1].level == "warning"


def test_old_pictures_go(desk, monkeypatch):
    monkeypatch.setattr("daemon.bank.pictures.KEPT", 3)
    for n in range(6):
        desk.pictures._keep(f"k{n}", b"x")
    assert len(list(desk.pictures._folder().glob("*.jpg"))) == 3
