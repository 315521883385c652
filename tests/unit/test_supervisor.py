"""A role is started, restarted when it dies, killed when it hangs and gone when it is stopped. Real processes."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import pytest

from daemon.policy import Policy
from daemon.supervisor import ProcessRun, Supervised, ThreadRun

_ROLE = """
import json, os, sys
hello = json.loads(sys.stdin.readline())
print(json.dumps({"say": "hello", "pid": os.getpid(), "got": hello}), flush=True)
if hello.get("mute"):
    sys.stdin.read()
for line in sys.stdin:
    message = json.loads(line)
    if message["do"] == "stop":
        break
    print(json.dumps({"say": "echo", "got": message}), flush=True)
"""


QUICK = Policy(first_s=0.01, most_s=0.05, limit=3)


class Heard:
    def __init__(self) -> None:
        self.messages: list[dict] = []
        self.down: list[str] = []
        self.change = threading.Condition()

    def message(self, message: dict) -> None:
        with self.change:
            self.messages.append(message)
            self.change.notify_all()

    def on_down(self, reason: str, given_up: bool) -> None:
        with self.change:
            self.down.append(f"{reason}, given up" if given_up else reason)
            self.change.notify_all()

    def wait(self, condition) -> None:
        with self.change:
            assert self.change.wait_for(condition, timeout=15), (self.messages, self.down)

    @property
    def pids(self) -> list[int]:
        return [m["pid"] for m in self.messages if m["say"] == "hello"]


@pytest.fixture
def heard():
    return Heard()


def supervised(heard: Heard, hello: dict) -> Supervised:
    return Supervised(
        "role",
        lambda: ProcessRun([sys.executable, "-c", _ROLE], ()),
        lambda: hello,
        heard.message,
        heard.on_down,
        QUICK,
    )


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def test_a_killed_role_comes_back_with_a_fresh_hello(heard):
    role = supervised(heard, {"n": 1})
    role.start()
    heard.wait(lambda: len(heard.pids) == 1)
    os.kill(heard.pids[0], signal.SIGKILL)
    heard.wait(lambda: len(heard.pids) == 2)
    assert heard.down == ["killed by signal 9"]
    assert role.restarts == 1
    role.send({"do": "ping"})
    heard.wait(lambda: any(m["say"] == "echo" for m in heard.messages))
    role.stop(1.0)
    assert gone(heard.pids[1])


def test_a_paused_role_stays_down_until_it_is_started(heard):
    role = supervised(heard, {})
    role.start()
    heard.wait(lambda: heard.pids)
    role.pause()
    assert gone(heard.pids[0])
    time.sleep(0.2)
    assert len(heard.pids) == 1
    role.start()
    heard.wait(lambda: len(heard.pids) == 2)
    assert heard.down == []
    role.stop(1.0)


def test_a_restart_that_was_asked_for_is_no_failure(heard):
    hellos = iter([{"n": 1}, {"n": 2}, {"n": 3}])
    role = Supervised(
        "role",
        lambda: ProcessRun([sys.executable, "-c", _ROLE], ()),
        lambda: next(hellos),
        heard.message,
        heard.on_down,
        QUICK,
    )
    role.start()
    heard.wait(lambda: len(heard.pids) == 1)
    role.restart()
    heard.wait(lambda: len(heard.pids) == 2)
    assert gone(heard.pids[0])
    assert [m["got"]["n"] for m in heard.messages if m["say"] == "hello"] == [1, 2]
    assert heard.down == []
    assert role.restarts == 0
    assert role.causes == {}
    os.kill(heard.pids[1], signal.SIGKILL)  # a crash after it is one
    heard.wait(lambda: len(heard.pids) == 3)
    assert heard.down == ["killed by signal 9"]
    assert role.causes == {"killed by signal 9": 1}
    role.stop(1.0)


@pytest.mark.parametrize("signal_number", [0, signal.SIGSTOP])
def test_a_silent_or_stopped_role_is_killed_and_replaced(heard, signal_number):
    role = supervised(heard, {"mute": True})
    role.start()
    heard.wait(lambda: heard.pids)
    if signal_number:
        os.kill(heard.pids[0], signal_number)
    deadline = time.monotonic() + 10
    while len(heard.pids) < 2 and time.monotonic() < deadline:
        role.kill_if_silent(0.3)
        time.sleep(0.05)
    assert len(heard.pids) >= 2
    assert "said nothing for 0.3 s" in heard.down[0]
    role.stop(0.5)
    assert all(gone(p) for p in heard.pids)


def test_a_thread_role_obeys_the_same_policy(heard):
    lives = iter([True, False])

    def body(channel) -> int:
        channel.send({"say": "hello", "pid": 0, "got": channel.receive(5)})
        if next(lives):
            raise RuntimeError("boom")
        while (message := channel.receive(5)) is not None and message["do"] != "stop":
            pass
        return 0

    role = Supervised(
        "thread", lambda: ThreadRun("thread", body), lambda: {"a": 1}, heard.message, heard.on_down,
        QUICK,
    )  # fmt: skip
    role.start()
    heard.wait(lambda: len(heard.pids) == 2)
    assert heard.down == ["exit code 1"]
    role.stop(1.0)


def test_a_role_that_breaks_again_and_again_is_given_up_and_tried_again_when_asked(heard):
    role = Supervised(
        "role", lambda: ProcessRun([sys.executable, "-c", "raise SystemExit(9)"], ()), dict, heard.message,
        heard.on_down, QUICK,
    )  # fmt: skip
    role.start()
    heard.wait(lambda: len(heard.down) == 3)
    time.sleep(0.2)
    assert heard.down == ["exit code 9", "exit code 9", "exit code 9, given up"]
    assert role.given_up
    role.start()  # wanting it is not asking for another try
    time.sleep(0.2)
    assert len(heard.down) == 3
    role.revive()
    heard.wait(lambda: len(heard.down) == 6)
    assert role.causes == {"exit code 9": 6}
    role.stop(1.0)


def test_what_the_world_does_is_waited_for_without_end(heard):
    role = supervised(heard, {"mute": True})
    role.start()
    for count in range(1, 6):
        heard.wait(lambda count=count: len(heard.pids) == count)
        role.kill_for("no picture for 2 s", cause="no picture", waiting=True)
        heard.wait(lambda count=count: len(heard.down) == count)
    assert not role.given_up
    assert role.causes == {"no picture": 5}
    role.stop(1.0)


def test_a_role_that_cannot_be_launched_counts_as_a_failure(heard):
    def launch():
        raise OSError(11, "Resource temporarily unavailable")

    role = Supervised("role", launch, dict, heard.message, heard.on_down, QUICK)
    role.start()
    heard.wait(lambda: len(heard.down) == 3)
    assert "Resource temporarily unavailable" in heard.down[0]
    role.stop(1.0)


def test_sending_to_a_stopped_child_never_blocks(heard):
    role = supervised(heard, {})
    role.start()
    heard.wait(lambda: heard.pids)
    os.kill(heard.pids[0], signal.SIGSTOP)
    began = time.monotonic()
    for _ in range(2000):
        role.send({"do": "state", "filler": "x" * 500})
    assert time.monotonic() - began < 2
    role.stop(0.2)
    assert gone(heard.pids[0])
