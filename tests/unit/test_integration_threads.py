"""Integrations are started, watched and started again, whatever happens in them."""

import ctypes
import threading
import time
from types import SimpleNamespace

import pytest

from daemon import integration_threads
from daemon.integration_threads import IntegrationThreads
from daemon.settings import Settings
from integrations.integration import IntegrationOptions
from pipeline.errors import PhospheneError
from pipeline.options import setting


class Options(IntegrationOptions):
    word: str = setting("a", "a word", applies="prepare")


class WithOne(Settings):
    thing: Options = setting({}, "a thing", applies="prepare")


ALONE = {"obs": {"enabled": False}, "hotkeys": {"enabled": False}}


class Thing:
    """Runs until halted, or as `acts` say."""

    def __init__(self, options, lives):
        self.options, self.lives = options, lives

    def run(self, halt):
        self.lives.append(self.options.word)
        self.thread = threading.current_thread()
        if len(self.lives) == 1 and self.options.word == "raises":
            raise PhospheneError("no thing there", "plug it in")
        while not halt.wait(0.005):
            pass

    def status(self):
        return {"status": "connected", "detail": self.options.word}


@pytest.fixture
def lives():
    return []


@pytest.fixture
def made(lives, monkeypatch):
    monkeypatch.setattr(integration_threads, "FIRST_S", 0.02)
    events, things, alive = [], [], []

    def create(options, control):
        things.append(Thing(options, lives))
        return things[-1]

    module = SimpleNamespace(
        available=lambda options: "it is broken; mend it" if options.word == "broken" else None, create=create
    )

    def start(**section):
        threads = IntegrationThreads(
            WithOne(thing={"enabled": True, **section}, **ALONE), None, events.append, lambda name: module
        )
        threads.events, threads.things = events, things
        alive.append(threads)
        return threads

    yield start
    for threads in alive:
        threads.ask_to_end()
        threads.join()


def until(threads, condition):
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        threads.watch()
        time.sleep(0.005)


def test_one_runs_and_shows_its_status(made, lives):
    threads = made()
    until(threads, lambda: threads.status()["thing"]["status"] == "connected")
    assert threads.status()["thing"]["detail"] == "a"
    threads.adopt(WithOne(**ALONE))
    until(threads, lambda: threads.status()["thing"]["status"] == "off")
    assert lives == ["a"]


def test_what_raises_is_said_once_and_started_again(made, lives):
    threads = made(word="raises")
    until(threads, lambda: len(lives) == 2 and threads.status()["thing"]["status"] == "connected")
    assert [event.message for event in threads.events] == ["thing: no thing there"]
    assert threads.status()["thing"]["restarts"] == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_killed_thread_is_started_again(made, lives):
    threads = made()
    until(threads, lambda: threads.status()["thing"]["status"] == "connected")
    victim = threads.things[0].thread
    assert ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(victim.ident), ctypes.py_object(SystemExit)
    )
    until(threads, lambda: len(lives) == 2)
    assert not victim.is_alive()
    assert "without a word" in threads.events[0].message


def test_what_cannot_be_used_says_why_and_with_what(made, lives):
    threads = made(word="broken")
    until(threads, lambda: threads.status()["thing"]["status"] == "failed")
    status = threads.status()["thing"]
    assert (status["error"], status["mend"]) == ("it is broken", "mend it")
    assert not lives


def test_other_settings_start_it_anew(made, lives):
    threads = made()
    until(threads, lambda: lives == ["a"])
    threads.adopt(WithOne(thing={"enabled": True, "word": "b"}, **ALONE))
    until(threads, lambda: lives == ["a", "b"])
    assert threads.status()["thing"]["restarts"] == 0
