"""Start, faults and end of the whole program, with its real children, signals and files."""

from __future__ import annotations

import os
import signal
import socket
import time

import psutil
import pytest

from daemon.exit_codes import ExitCode
from integrations.web.server import CannotListenError
from tests.running import alive

RUN = ("--source", "test_pattern", "--sink", "null", "--sink", "preview", "--size", "320x240")


def gone(pids: list[int], seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(map(alive, pids)):
            return True
        time.sleep(0.05)
    return False


def test_pictures_go_out_before_torch_is_there_and_survive_the_death_of_each_child(daemon):
    daemon.start(*RUN)
    early = daemon.wait(lambda s: s["sinks"][0]["sent"] > 0)
    assert early["engine"]["status"] in ("starting", "loading"), "the first picture waited for the engine"
    host = psutil.Process(early["pid"])
    assert not any("torch" in m.path for m in host.memory_maps()), "the host has loaded torch"

    first = daemon.painting()
    for role in ("engine", "capture"):
        before = daemon.status()
        os.kill(before["processes"][role], signal.SIGKILL)
        part = "source" if role == "capture" else "engine"
        hurt = daemon.wait(lambda s, part=part: s[part]["restarts"] >= 1)
        assert hurt["sinks"][0]["sent"] >= before["sinks"][0]["sent"]
        assert hurt["sinks"][0]["status"] == "open"
        after = daemon.painting()
        assert after["processes"][role] != before["processes"][role]
        assert after["sinks"][0]["sent"] > hurt["sinks"][0]["sent"]
    assert daemon.status()["pid"] == first["pid"]

    children = [child.pid for child in daemon.children()]
    assert daemon.end(signal.SIGTERM, seconds=3) == 0
    assert gone(children)
    assert daemon.command("status", check=False).returncode == 4


def test_a_stopped_capture_process_is_replaced(daemon):
    daemon.start(*RUN)
    before = daemon.wait(lambda s: s["source"]["status"] == "open")
    os.kill(before["processes"]["capture"], signal.SIGSTOP)
    after = daemon.wait(
        lambda s: s["source"]["restarts"] >= 1 and s["source"]["status"] == "open", seconds=30
    )
    assert after["processes"]["capture"] != before["processes"]["capture"]
    assert gone([before["processes"]["capture"]])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_it_ends_within_three_seconds_even_while_torch_is_being_imported(daemon, number, code):
    daemon.start(*RUN)
    daemon.wait(lambda s: s["engine"]["status"] == "loading")
    children = [child.pid for child in daemon.children()]
    assert len(children) == 2
    assert daemon.end(number, seconds=3) == code
    assert gone(children)


def test_nothing_outlives_a_killed_host(daemon):
    daemon.start(*RUN)
    daemon.wait(lambda s: s["processes"]["capture"] and s["processes"]["engine"])
    children = [child.pid for child in daemon.children()]
    assert len(children) == 2
    daemon.end(signal.SIGKILL)
    assert gone(children)
    # The next one starts as if nothing had been.
    daemon.start(*RUN)
    daemon.wait(lambda s: s["sinks"][0]["sent"] > 0)
    assert daemon.end(seconds=3) == 0


def test_a_second_daemon_says_who_holds_the_lock(daemon):
    daemon.start(*RUN)
    running = daemon.wait(lambda s: s["pid"])
    second = daemon.command("run", *RUN, check=False)
    assert second.returncode == 5
    assert str(running["pid"]) in second.stderr
    assert daemon.status()["pid"] == running["pid"]


def test_it_ends_by_itself_after_so_many_frames(daemon):
    daemon.start(*RUN, "--frames", "5")
    assert daemon.process.wait(90) == 0


def test_of_two_daemons_started_at_once_one_runs_and_the_other_says_which(daemon, daemon_in):
    daemon.start(*RUN)
    with daemon_in(daemon.home) as twin:
        twin.start(*RUN)
        deadline = time.monotonic() + 20
        while daemon.process.poll() is None and twin.process.poll() is None:
            assert time.monotonic() < deadline, "both run"
            time.sleep(0.05)
        loser, winner = (daemon, twin) if daemon.process.poll() is not None else (twin, daemon)
        assert loser.process.returncode == 5
        assert f"process {winner.process.pid}" in loser.output
        winner.wait(lambda s: s["pid"] == winner.process.pid)


def test_a_lock_that_a_dead_daemon_left_is_none(daemon):
    folder = daemon.home / "runtime" / "phosphene"
    folder.mkdir()
    (folder / "lock").touch()
    (folder / "run.json").write_text('{"pid": 1, "host": "127.0.0.1", "port": 9, "born": "of another boot"}')
    daemon.start(*RUN)
    daemon.wait(lambda s: s["pid"] == daemon.process.pid)


def test_a_port_that_is_taken_has_an_exit_code_of_its_own(daemon):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = daemon.command("run", *RUN, "--port", port, check=False)
    assert done.returncode == ExitCode.ADDRESS == CannotListenError.code
    assert port in done.stderr


def test_panic_outlives_a_killed_daemon_and_the_camera_stays_closed(daemon):
    daemon.start(*RUN)
    daemon.wait(lambda s: s["source"]["status"] == "open")
    daemon.submit(command="mode", mode="panic")
    daemon.wait(lambda s: s["processes"]["capture"] is None and s["mode"] == "panic")
    daemon.end(signal.SIGKILL)
    daemon.start(*RUN)
    status = daemon.wait(lambda s: s["sinks"][0]["sent"] > 0)
    assert (status["mode"], status["source"]["status"]) == ("panic", "closed")
    assert status["processes"]["capture"] is None
    daemon.submit(command="mode", mode="styled")
    daemon.wait(lambda s: s["source"]["status"] == "open")
    assert daemon.end() == 0
    daemon.start(*RUN)
    daemon.wait(lambda s: s["mode"] == "styled" and s["source"]["status"] == "open")


def test_hangup_reads_the_configuration_again(daemon):
    daemon.start(*RUN)
    daemon.wait(lambda s: s["pid"])
    (daemon.home / "config" / "phosphene").mkdir(exist_ok=True)
    (daemon.home / "config" / "phosphene" / "config.yaml").write_text("hold_s: 7.5\n")

    def reloads(count: int) -> None:
        deadline = time.monotonic() + 20
        while daemon.output.count("configuration reloaded") < count:
            assert time.monotonic() < deadline, daemon.output
            time.sleep(0.1)

    reloads(1)  # it sees the new file by itself
    assert "hold_s" in daemon.output
    time.sleep(1)
    daemon.process.send_signal(signal.SIGHUP)  # the file is as it was: nobody else would read it again
    reloads(2)
