"""The playlist against a clock that the test moves: times, order, panic, changes while it plays."""

import threading
import time

import pytest

from daemon.config.playlist_settings import PlaylistSettings
from daemon.control import ControlHub
from daemon.playlist import Playlist
from daemon.settings import load
from integrations.playlist import parse_entry
from pipeline.errors import PhospheneError
from pipeline.messages import Mode, PlayList, SetMode, SetStyle


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


class Player:
    def __init__(self, *items, **more):
        self.hub = ControlHub(load({}, None, environment={}))
        self.clock = Clock()
        settings = PlaylistSettings(items=items, **{"over_s": 0.0, **more})
        self.list = Playlist(settings, self.hub, self.hub.emit, clock=self.clock, random_order=list.reverse)
        self.shown = []
        self.hub.on_state(lambda state: self.shown.append(state.style.name))
        self.hub.on_state(lambda state: self.list.mode_changed())
        self.hub.on_playlist = self.list.do
        self.list.start()

    def pass_time(self, seconds):
        self.clock.now += seconds
        self.list.mode_changed()  # what else wakes it: its own timer, on the real clock

    def until(self, count):
        deadline = time.monotonic() + 30
        while len(self.shown) < count:
            assert time.monotonic() < deadline, self.shown
            time.sleep(0.002)
        time.sleep(0.02)
        assert len(self.shown) == count, self.shown

    def do(self, what):
        self.hub.submit(PlayList(what), "test")

    def close(self):
        self.list.stop()
        self.hub.close()


@pytest.fixture
def player():
    made = []

    def make(*items, **more):
        made.append(Player(*items, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_lines_follow_each_other_by_their_times(player):
    p = player("neon for 10s", "oil", every_s=3.0)
    p.do("start")
    p.until(1)
    p.pass_time(9.9)
    p.until(1)
    p.pass_time(0.2)
    p.until(2)
    p.pass_time(3.1)
    p.until(3)
    assert p.shown == ["neon", "oil", "neon"]
    assert p.list.facts()["at"] == 0


def test_once_ends_and_says_so(player):
    p = player("neon for 1s", "oil for 1s", loop=False)
    p.do("start")
    p.until(1)
    p.pass_time(1.1)
    p.until(2)
    p.pass_time(1.1)
    deadline = time.monotonic() + 30
    while p.list.facts()["status"] != "stopped" and time.monotonic() < deadline:
        time.sleep(0.005)
    assert p.list.facts()["status"] == "stopped"
    assert p.shown == ["neon", "oil"]
    assert any("its end" in event.message for event in p.hub.recent_events())


def test_skip_back_pause_and_resume(player):
    p = player("neon for 10s", "oil for 10s", "pixel for 10s")
    p.do("start")
    p.until(1)
    p.do("skip")
    p.until(2)
    p.do("skip")
    p.until(3)
    p.do("back")
    p.until(4)
    assert p.shown == ["neon", "oil", "pixel", "oil"]
    p.do("pause")
    p.pass_time(60)
    p.until(4)
    assert p.list.facts()["status"] == "paused"
    p.do("resume")
    p.pass_time(9)
    p.until(4)
    p.pass_time(1.1)
    p.until(5)
    assert p.shown[-1] == "pixel"


@pytest.mark.parametrize("mode", [Mode.PANIC, Mode.FREEZE, Mode.BYPASS])
def test_time_stands_still_while_the_picture_is_not_styled(player, mode):
    p = player("neon for 10s", "oil for 10s")
    p.do("start")
    p.until(1)
    p.pass_time(4)
    p.hub.submit(SetMode(mode), "test")
    p.pass_time(100)
    p.until(2)  # the change of mode itself is a state
    assert p.list.facts()["waits"] is True
    p.hub.submit(SetMode(Mode.STYLED), "test")
    p.pass_time(5.9)
    p.until(3)
    assert p.shown[-1] == "neon"
    p.pass_time(0.2)
    p.until(4)
    assert p.shown[-1] == "oil"
    assert p.hub.state.mode is Mode.STYLED


def test_a_style_taken_by_hand_stays_until_the_line_is_over(player):
    p = player("neon for 10s", "oil for 10s")
    p.do("start")
    p.until(1)
    p.hub.submit(SetStyle("pixel"), "test")
    p.pass_time(9)
    p.until(2)
    assert p.hub.state.style.name == "pixel"
    p.pass_time(1.1)
    p.until(3)
    assert p.hub.state.style.name == "oil"


def test_shuffle_is_another_order_and_never_the_same_line_twice_running(player):
    p = player("neon for 1s", "oil for 1s", "pixel for 1s", shuffle=True)
    p.do("start")
    for n in range(1, 8):
        p.until(n)
        p.pass_time(1.01)
    assert p.shown[:3] == ["pixel", "oil", "neon"], "the order that the shuffle gave"
    assert all(a != b for a, b in zip(p.shown, p.shown[1:], strict=False))


def test_a_line_whose_style_is_gone_is_told_and_passed_over(player):
    p = player("nowhere for 10s", "oil for 10s")
    p.do("start")
    p.until(1)
    assert p.shown == ["oil"]
    assert any("passed over" in event.message for event in p.hub.recent_events())


def test_lines_that_all_fail_do_not_spin(player):
    p = player("nowhere for 10s", "nirgends for 10s")
    p.do("start")

    def told():
        return len([event for event in p.hub.recent_events() if "passed over" in event.message])

    deadline = time.monotonic() + 30
    while told() < 2:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    time.sleep(0.1)
    assert told() == 2


def test_the_morph_of_the_list_and_of_a_line(player):
    p = player("neon for 5s", "oil over 500ms for 5s", over_s=2.0)
    p.do("start")
    p.until(1)
    assert p.hub.state.morph_s == 2.0
    p.do("skip")
    p.until(2)
    assert p.hub.state.morph_s == 0.5


def test_changed_lines_while_it_plays(player):
    p = player("neon for 10s", "oil for 10s")
    p.do("start")
    p.until(1)
    p.list.adopt(PlaylistSettings(items=("pixel for 1s", "neon for 10s", "van-gogh for 1s"), over_s=0))
    p.pass_time(10.1)
    p.until(2)
    assert p.shown == ["neon", "van-gogh"], "it goes on behind the line that is shown"
    p.list.adopt(PlaylistSettings(items=()))
    assert p.list.facts()["status"] == "stopped"


def test_nothing_to_play_is_said(player):
    p = player()
    with pytest.raises(PhospheneError, match="empty"):
        p.do("start")
    p = player("neon")
    for what in ("pause", "resume", "skip", "back"):
        with pytest.raises(PhospheneError, match="not playing"):
            p.do(what)
    revision = p.hub.state.revision
    p.do("stop")
    assert p.hub.state.revision == revision, "the playlist is no part of the live state"


def test_it_keeps_time_on_the_real_clock(player):
    p = player("neon for 150ms", "oil for 150ms")
    p.list.stop()
    shown = threading.Event()
    real = Playlist(PlaylistSettings(items=("neon for 150ms", "oil for 10s"), over_s=0), p.hub, p.hub.emit)
    p.hub.on_state(lambda state: shown.set() if state.style.name == "oil" else None)
    real.start()
    began = time.monotonic()
    real.do(PlayList("start"), "test")
    assert shown.wait(30)
    assert time.monotonic() - began >= 0.14
    real.stop()


@pytest.mark.parametrize(
    ("text", "for_s"),
    [
        ("neon", None),
        ("neon for 30s", 30.0),
        ("neon over 2s for 1min", 60.0),
        ("neon:0.7 anime:0.3 for 500ms", 0.5),
    ],
)
def test_lines(text, for_s):
    assert parse_entry(text).for_s == for_s


@pytest.mark.parametrize(
    "text", ["", "for 3s", "neon for 0s", "panic for 3s", "playlist skip", "set strength"]
)
def test_lines_that_are_none(text):
    with pytest.raises(PhospheneError):
        parse_entry(text)


def test_newer_facts_have_a_higher_revision(player):
    of = player("neon for 5s", "oil for 3s")
    seen = [of.list.facts()["revision"]]

    def grown():
        seen.append(of.list.facts()["revision"])
        return seen[-1] > seen[-2]

    of.do("start")
    of.until(1)
    assert grown()
    of.pass_time(5.1)
    of.until(2)
    assert grown(), "the next line"
    assert not grown(), "time alone"
    of.do("stop")
    assert grown()
    of.list.adopt(PlaylistSettings(items=("neon",)))
    assert grown()
    of.list.adopt(PlaylistSettings(items=("neon",)))
    assert not grown(), "the same settings"
