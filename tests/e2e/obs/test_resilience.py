"""Whatever OBS, the network, the configuration or the integration itself does: the picture goes on, and it is
followed again."""

from __future__ import annotations

import ctypes
import threading
import time

import pytest

from tests.e2e.obs.running_daemon import until

pytestmark = pytest.mark.e2e


class Frames:
    """Watches, through a `with`, that painted pictures keep coming."""

    def __init__(self, daemon, most_s=1.0):
        self.daemon, self.most_s = daemon, most_s
        self.halt = threading.Event()
        self.worst = 0.0
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        last, since = self.daemon.painted(), time.monotonic()
        while not self.halt.wait(0.02):
            now = self.daemon.painted()
            if now != last:
                last, since = now, time.monotonic()
            self.worst = max(self.worst, time.monotonic() - since)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.halt.set()
        self.thread.join()
        if kind is None:
            assert self.worst < self.most_s, f"no painted picture for {self.worst:.2f} s"


def is_(daemon, state):
    return lambda: daemon.obs()["status"] == state


def test_another_scene_collection(daemon, desk, studio):
    desk.to("Neon")
    until(lambda: daemon.style.name == "neon")
    with Frames(daemon):
        desk.ask("SetCurrentSceneCollection", sceneCollectionName="Other")
        # there the prompt, and a push button, lie in a group
        until(lambda: daemon.style.prompt == "a prompt of the other collection", 5.0)
        items = desk.ask("GetGroupSceneItemList", sceneName="Group")["sceneItems"]
        (button,) = [item["sceneItemId"] for item in items if item["sourceName"] == "Phosphene > jade"]
        for shown in (False, True):
            desk.show("Group", button, shown)
        until(lambda: daemon.style.name == "jade", 2.0)
        until(lambda: not desk.is_shown("Group", button), 2.0)
        desk.ask("SetCurrentSceneCollection", sceneCollectionName="CI")
        until(lambda: daemon.obs().get("scene") in ("Neon", "Plain", "Sketch"), 5.0)
    assert daemon.obs()["status"] == "connected"
    desk.to("Plain")
    desk.to("Sketch")
    until(lambda: daemon.style.name == "pencil", 2.0)


def test_killed_and_restarted(daemon, desk, studio):
    desk.to("Neon")
    until(lambda: daemon.style.name == "neon")
    with Frames(daemon):
        studio.kill()
        until(is_(daemon, "disconnected"), 2.0)
        studio.start()
        until(is_(daemon, "connected"), 8.0)
    with studio.connection() as obs:
        obs.request("SetCurrentProgramScene", {"sceneName": "Sketch"})
        until(lambda: daemon.style.name == "pencil", 2.0)


def test_frozen_and_thawed(daemon, desk, studio):
    with Frames(daemon):
        began = time.monotonic()
        studio.freeze()
        try:
            until(is_(daemon, "disconnected"), 5.0)
            print(f"a hung OBS is noticed after {time.monotonic() - began:.1f} s")
        finally:
            studio.thaw()
        until(is_(daemon, "connected"), 8.0)
    desk.to("Neon")
    until(lambda: daemon.style.name == "neon", 2.0)


def test_the_wrong_password_then_the_right_one(daemon, desk):
    daemon.write_config({**daemon.section, "password": "not this one"})
    with Frames(daemon):
        daemon.host.reload()
        until(is_(daemon, "auth_failed"), 5.0)
        assert "does not take the password of obs.password" in daemon.obs()["error"]
        daemon.write_config(daemon.section)
        assert daemon.host.reload()["needs_restart"] == []
        until(is_(daemon, "connected"), 5.0)


def test_other_globs_apply_when_the_file_is_reloaded(daemon, desk):
    try:
        daemon.write_config({**daemon.section, "scenes": {"Pl*": "jade"}})
        daemon.host.reload()
        until(lambda: daemon.style.name == "jade", 5.0)
    finally:
        daemon.write_config(daemon.section)
        daemon.host.reload()
    until(is_(daemon, "connected"), 5.0)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_integration_s_thread_is_killed(daemon, desk):
    (victim,) = [thread for thread in threading.enumerate() if thread.name == "obs"]
    with Frames(daemon):
        killed = ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(victim.ident), ctypes.py_object(SystemExit)
        )
        assert killed == 1
        until(lambda: not victim.is_alive(), 3.0)
        until(lambda: daemon.obs()["restarts"] >= 1, 3.0)
        until(is_(daemon, "connected"), 5.0)
    desk.to("Neon")
    until(lambda: daemon.style.name == "neon", 2.0)


def test_started_twenty_seconds_after_the_daemon(daemon, studio):
    studio.kill()
    until(is_(daemon, "disconnected"), 2.0)
    # as if it had never been there: the integration begins anew without an OBS
    daemon.write_config({**daemon.section, "overlay": ""})
    daemon.host.reload()
    time.sleep(20)
    assert daemon.obs()["status"] in ("disconnected", "connecting")
    assert daemon.obs()["error"] is None, "no OBS is no fault"
    studio.start()
    took = until(is_(daemon, "connected"), 10.0)
    print(f"found {took:.1f} s after it was up")
    with studio.connection() as obs:
        obs.request("SetCurrentProgramScene", {"sceneName": "Neon"})
        until(lambda: daemon.style.name == "neon", 2.0)
    daemon.write_config(daemon.section)
    daemon.host.reload()
