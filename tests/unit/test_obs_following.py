"""What cannot be brought about on a real OBS at will: races, lost events and clocks, on an OBS that answers by
script."""

import queue
import threading

import pytest

from daemon.control import ControlHub
from daemon.settings import load
from integrations.obs.custom_events import CustomEvents, command_of
from integrations.obs.errors import LostError, NotReadyError, RefusedRequestError
from integrations.obs.follower import EVENT_S, SOON_S, STINGER_S, Follower
from integrations.obs.inbox import Ended, Inbox, ObsEvent
from integrations.obs.lip_sync import smoothed, wanted
from integrations.obs.options import Options, Switch
from integrations.obs.overlay import overlay_text
from integrations.obs.part import Part
from integrations.obs.session import run_session
from integrations.obs.switches import command_of as switched
from pipeline.errors import PhospheneError
from pipeline.messages import Event, LiveState, Mode, SetMode, SetStyle, Style

GLOBS = {"Neon*": "neon", "Sketch": "pencil"}


class ScriptedObs:
    """A connection whose answers are attributes."""

    def __init__(self):
        self.scene, self.uuid, self.cursor, self.studio = "Plain", "", 1.0, False
        self.transition = {
            "transitionName": "Fade",
            "transitionKind": "fade_transition",
            "transitionDuration": 800,
        }
        self.override = {"transitionName": None, "transitionDuration": None}
        self.asked, self.alive = [], True

    def request(self, name, data=None, **_):
        self.asked.append((name, data))
        answers = {
            "GetVersion": {"obsWebSocketVersion": "5.5.2"},
            "GetVideoSettings": {"fpsNumerator": 30, "fpsDenominator": 1},
            "GetStudioModeEnabled": {"studioModeEnabled": self.studio},
            "GetCurrentSceneTransition": self.transition,
            "GetCurrentSceneTransitionCursor": {"transitionCursor": self.cursor},
            "GetSceneSceneTransitionOverride": self.override,
            "GetSceneTransitionList": {"transitions": [self.transition]},
            "GetSceneList": {
                "scenes": [],
                "currentProgramSceneName": self.scene,
                "currentProgramSceneUuid": self.uuid,
            },
            "GetSceneItemList": {"sceneItems": []},
        }
        if name in answers:
            return answers[name]
        if name in ("BroadcastCustomEvent", "SetInputSettings"):
            return {}
        raise RefusedRequestError(name, 600, "")

    def last_words(self, seconds):
        pass


class Clocked:
    """A follower with a clock that is set by hand."""

    def __init__(self, **options):
        self.now = 100.0
        self.hub = ControlHub(load({}, None, environment={}))
        self.obs = ScriptedObs()
        self.follower = Follower(Options(scenes=GLOBS, **options), self.hub, lambda: self.now)
        self.follower.begin(self.obs)
        self.tick()

    def tick(self, seconds=0.0):
        self.now += seconds
        return self.follower.tick(self.obs, self.now)

    def hear(self, name, **data):
        self.follower.heard(self.obs, name, data)

    @property
    def style(self):
        return self.hub.state.style.name


@pytest.fixture
def clocked():
    made = Clocked()
    yield made
    made.hub.close()


def test_a_poll_that_is_faster_than_the_event_waits_for_it(clocked):
    clocked.obs.scene, clocked.obs.cursor = "Neon", 0.0
    clocked.tick(1.0)
    assert clocked.style == "anime"
    clocked.now += 0.03
    clocked.hear("SceneTransitionStarted", transitionName="Fade")
    assert (clocked.style, clocked.hub.state.morph_s) == ("neon", 0.8)


def test_a_scene_that_was_left_and_come_back_to_between_two_looks(clocked):
    clocked.obs.scene = "Neon"
    clocked.hear("SceneTransitionStarted", transitionName="Fade")
    clocked.hub.submit(SetStyle("oil"), "test")
    clocked.hear("SceneTransitionStarted", transitionName="Fade")
    assert clocked.style == "neon"
    revision = clocked.hub.state.revision
    clocked.hear("SceneTransitionStarted", transitionName="Fade")
    assert clocked.hub.state.revision == revision, "nothing has changed since"


def test_a_lost_event_is_made_up_for_in_time(clocked):
    clocked.obs.scene = "Neon"
    clocked.tick(1.0)
    clocked.tick(EVENT_S + 0.01)
    assert (clocked.style, clocked.hub.state.morph_s) == ("neon", 0.0)
    clocked.obs.scene, clocked.obs.cursor = "Sketch", 0.2
    clocked.tick(1.0)
    clocked.tick(EVENT_S + 0.01)
    assert clocked.style == "pencil"
    assert clocked.hub.state.morph_s > 0.5, "the transition runs"


def test_what_studio_mode_says_when_it_is_left_changes_nothing(clocked):
    revision = clocked.hub.state.revision
    clocked.obs.scene = "Neon"  # for a few milliseconds
    clocked.hear("CurrentProgramSceneChanged", sceneName="Neon")
    clocked.obs.scene = "Plain"
    clocked.hear("CurrentProgramSceneChanged", sceneName="Plain")
    clocked.tick(SOON_S)
    clocked.tick(1.0)
    assert clocked.hub.state.revision == revision


def test_a_stinger_is_followed_at_its_end(clocked):
    clocked.obs.transition = {
        "transitionName": "Film",
        "transitionKind": "obs_stinger_transition",
        "transitionFixed": True,
        "transitionDuration": None,
    }
    clocked.obs.scene, clocked.obs.cursor = "Neon", 0.1
    clocked.hear("SceneTransitionStarted", transitionName="Film")
    for _ in range(10):
        clocked.tick(0.3)
    assert clocked.style == "anime"
    clocked.hear("SceneTransitionVideoEnded", transitionName="Film")
    assert (clocked.style, clocked.hub.state.morph_s) == ("neon", 0.0)


def test_an_end_that_is_never_told_is_not_waited_for_for_ever(clocked):
    clocked.obs.override = {"transitionName": "Film", "transitionDuration": None}
    clocked.obs.scene = "Neon"
    clocked.hear("SceneTransitionStarted", transitionName="Quick")  # of an unknown kind
    clocked.tick(1.0)
    assert clocked.style == "anime"
    clocked.tick(STINGER_S)
    assert clocked.style == "neon"


def test_a_scene_is_known_by_its_uuid(clocked):
    clocked.obs.scene, clocked.obs.uuid = "Neon", "1"
    clocked.hear("SceneTransitionStarted", transitionName="Fade")
    clocked.hub.submit(SetStyle("oil"), "test")
    clocked.obs.scene = "Neon again"
    clocked.tick(1.5)
    assert clocked.style == "oil"
    clocked.obs.uuid = "2"
    clocked.hear("SceneTransitionStarted", transitionName="Fade")
    assert clocked.style == "neon"


def test_a_new_engine_is_told_the_prompts_again(clocked, monkeypatch):
    ahead = []
    monkeypatch.setattr(clocked.hub, "prepare", ahead.append)
    clocked.follower._ahead = ["a fox"]
    clocked.follower.told(clocked.obs, Event("engine", "ready", {"status": "ready"}))
    assert ahead == [["a fox"]]


# ---------------------------------------------------------------- sessions


class Noting(Part):
    def __init__(self):
        self.seen = []

    def begin(self, obs):
        self.seen.append("begin")

    def heard(self, obs, name, data):
        if name == "Bad":
            raise RefusedRequestError("x", 600, "")
        self.seen.append(name)

    def told(self, obs, event):
        self.seen.append(event.message)

    def leave(self, obs):
        self.seen.append("leave")


class Sessions:
    """run_session on a thread."""

    def __init__(self, parts, obs):
        self.inbox, self.halt, self.obs, self.error = Inbox(), threading.Event(), obs, None
        self.ready = queue.SimpleQueue()
        self.thread = threading.Thread(target=self.run, args=(parts,))
        self.thread.start()

    def run(self, parts):
        try:
            run_session(self.obs, parts, self.inbox, self.halt, self.ready.put)
        except LostError as error:
            self.error = error

    def end(self):
        self.halt.set()
        self.thread.join(2)
        assert not self.thread.is_alive()


def hear(session, *names):
    for name in names:
        session.inbox.put(ObsEvent(name, {}))


def wait_for(true):
    done = threading.Event()
    for _ in range(400):
        if true():
            return
        done.wait(0.005)
    raise AssertionError("it did not come true")


def test_nothing_is_asked_while_the_collection_changes():
    part, obs = Noting(), ScriptedObs()
    session = Sessions([part], obs)
    try:
        wait_for(lambda: part.seen == ["begin"])
        hear(session, "CurrentSceneCollectionChanging")
        threading.Event().wait(0.3)
        asked = len(obs.asked)
        hear(session, "SceneCreated")
        session.inbox.put(Event("state", "a style"))
        threading.Event().wait(0.3)
        assert len(obs.asked) == asked
        assert part.seen == ["begin"]
        hear(session, "CurrentSceneCollectionChanged")
        wait_for(lambda: part.seen == ["begin", "begin", "a style"])
    finally:
        session.end()
    assert part.seen[-1] == "leave"


def test_a_refused_request_ends_one_call_only_and_a_lost_event_begins_anew():
    first, second = Noting(), Noting()
    session = Sessions([first, second], ScriptedObs())
    try:
        wait_for(lambda: second.seen == ["begin"])
        hear(session, "Bad", "Good")
        wait_for(lambda: second.seen == ["begin", "Good"] and first.seen == ["begin", "Good"])
        session.inbox.dropped += 1
        hear(session, "Next")
        wait_for(lambda: second.seen.count("begin") == 2)
    finally:
        session.end()


def test_the_end_of_the_connection_ends_the_session():
    obs = ScriptedObs()
    session = Sessions([Noting()], obs)
    obs.alive = False
    session.inbox.put(Ended())
    session.thread.join(2)
    assert "closed" in session.error.message


def test_obs_that_is_loading_is_asked_again():
    part, obs = Noting(), ScriptedObs()
    request, answers = obs.request, iter([False, False])

    def loading(name, data=None, **_):
        if name == "GetSceneList" and next(answers, True) is False:
            raise NotReadyError(name)
        return request(name, data)

    obs.request = loading
    session = Sessions([part], obs)
    try:
        assert [session.ready.get(timeout=2) for _ in range(3)] == [False, False, True]
        assert part.seen == ["begin"]
    finally:
        session.end()


def test_the_inbox_is_bounded():
    inbox = Inbox(2)
    for number in range(5):
        inbox.put(ObsEvent(str(number), {}))
    assert (inbox.take(0).name, inbox.take(0).name, inbox.take(0), inbox.dropped) == ("0", "1", None, 3)


# ---------------------------------------------------------------- small rules


def test_commands_in_custom_events():
    assert command_of("neon over 2s") == SetStyle("neon", 2.0)
    assert command_of({"command": "style", "name": "neon"}) == SetStyle("neon")
    for bad in (None, [], {"command": "x"}, float("nan"), {"command": "style", "name": "x" * 9000}):
        with pytest.raises(PhospheneError):
            command_of(bad)


def test_our_own_announcements_are_not_commands():
    obs = ScriptedObs()
    part = CustomEvents(control=None)
    part.heard(obs, "CustomEvent", {"phosphene_event": {"phosphene": "next"}})
    part.heard(obs, "VendorEvent", {"phosphene": "next"})
    assert obs.asked == []


@pytest.mark.parametrize(
    ("given", "shown", "present", "command"),
    [
        ("neon", True, Mode.STYLED, SetStyle("neon")),
        ("neon", False, Mode.STYLED, None),
        ("bypass", True, Mode.STYLED, SetMode(Mode.BYPASS, toggle=True)),
        ("bypass", True, Mode.BYPASS, None),
        ("bypass", False, Mode.BYPASS, SetMode(Mode.BYPASS, toggle=True)),
        ("bypass", False, Mode.STYLED, None),
        ({"shown": "freeze", "hidden": "oil"}, False, Mode.FREEZE, SetStyle("oil")),
        ({"hidden": "oil"}, True, Mode.STYLED, None),
    ],
)
def test_switches(given, shown, present, command):
    assert switched(Switch.model_validate(given), shown, present) == command


def test_overlay_texts():
    style = Style("neon", "neon cyberpunk")
    prompts = {"neon": "neon cyberpunk"}
    assert overlay_text("{style} · {mode} {x}", LiveState(style), prompts) == "neon · styled {x}"
    assert overlay_text("{style}", LiveState(Style("neon", "a fox")), prompts) == "a fox"


def test_offsets():
    assert smoothed(None, 100.0) == 100.0
    assert smoothed(100.0, 200.0) == 125.0
    assert wanted(40, 131.6) == 172
    assert (wanted(-900, -500.0), wanted(0, 1e6)) == (-950, 20_000)
