"""The commands around a daemon in the background, as a user types them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from tests.running import alive

ROOT = Path(__file__).resolve().parents[2]
RUN = ("--source", "test_pattern", "--sink", "null", "--size", "320x240", "--port", "0")


@pytest.fixture
def user(daemon):
    """A user with empty folders whose daemon, if one is left, is ended by its own process id."""
    yield daemon
    run = daemon.home / "runtime" / "phosphene" / "run.json"
    if run.exists():
        pid = json.loads(run.read_text())["pid"]
        with contextlib.suppress(psutil.Error):  # gone, or a zombie
            if "daemon" in " ".join(psutil.Process(pid).cmdline()):
                os.kill(pid, signal.SIGKILL)


def started(user, *more):
    return json.loads(user.command("start", *RUN, *more, "--json").stdout)


def ended(pid, seconds=10):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not alive(pid):
            return True
        time.sleep(0.02)
    return False


def test_start_control_reload_and_stop(user):
    facts = started(user)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", facts["address"])
    status = user.status()
    assert status["pid"] == facts["pid"]
    assert status["source"]["kind"] == "test_pattern"

    styles = [style["name"] for style in json.loads(user.command("styles", "--json").stdout)["styles"]]
    assert json.loads(user.command("style", styles[1], "--over", "200ms", "--json").stdout)["revision"] == 2
    blend = json.loads(user.command("style", f"{styles[0]}:0.75", f"{styles[1]}:0.25", "--json").stdout)
    assert [weight for _, weight in blend["state"]["blend"]] == [0.75, 0.25]
    user.command("prompt", "a: fox", "--negative", "blue")
    user.command("set", "strength", "0.25")
    user.command("set", "t_index_list", "[20, 40]")
    for words, mode in (
        (("freeze",), "freeze"),
        (("panic",), "panic"),
        (("next",), "panic"),
        (("undo",), "panic"),
    ):
        assert json.loads(user.command(*words, "--json").stdout)["state"]["mode"] == mode
    user.command("resume")
    state = user.status()["state"]
    assert state["mode"] == "styled"
    assert (state["style"]["prompt"], state["style"]["negative_prompt"]) == ("a: fox", "blue")
    assert state["style"]["strength"] == 0.25
    assert state["t_index_list"] == [20, 40]

    for words, mend in (
        (("style", styles[0][:-1] + "#"), "did you mean"),
        (("set", "strength", "7"), "use 0 to 1"),
        (("set", "strenght", "1"), "'strength'"),
        (("mode", "panick"), "'panic'"),
    ):
        refused = user.command(*words, check=False)
        assert refused.returncode == 8
        assert mend in refused.stderr
    assert user.status()["state"] == state

    own = user.home / "config" / "phosphene"
    own.mkdir()
    (own / "config.yaml").write_text("similarity: {threshold: 0.5}\noutput: {fit: contain}\n")
    deadline = time.monotonic() + 20
    while user.status()["state"]["similarity_threshold"] != 0.5:  # noticed without a command
        assert time.monotonic() < deadline, user.command("logs").stdout
        time.sleep(0.5)
    assert user.status()["needs_restart"] == ["output.fit"]
    (own / "config.yaml").write_text("similarity: {threshold: 7}\n")
    bad = user.command("reload", check=False)
    assert bad.returncode == 8
    assert "similarity.threshold" in bad.stderr
    assert user.status()["state"]["similarity_threshold"] == 0.5
    (own / "config.yaml").unlink()

    url = user.command("url").stdout.strip()
    token = (user.home / "state" / "phosphene" / "token").read_text().strip()
    assert url == f"{facts['address']}/#token={token}"
    picture = user.command("url", "--obs").stdout.strip()
    assert picture.startswith(f"{facts['address']}/stream.jpegs?key=")
    assert user.command("url", "--rotate").stdout.strip() != picture
    log = user.command("logs", "-n", "1000").stdout
    assert "configuration reloaded" in log
    assert token not in log
    assert "fox" not in log

    started_again = user.command("start", *RUN, check=False)
    assert started_again.returncode == 5
    assert str(facts["pid"]) in started_again.stderr

    begin = time.monotonic()
    user.command("stop")
    assert time.monotonic() - begin < 10  # loose, for a busy machine; test_life has the bound
    assert ended(facts["pid"])
    assert user.command("stop", check=False).returncode == 4
    assert not (user.home / "runtime" / "phosphene" / "run.json").exists()


def test_restart_keeps_the_options_of_the_start(user):
    facts = started(user, "--style", "neon") if "neon" in user.command("styles").stdout else started(user)
    again = json.loads(user.command("restart", "--json").stdout)
    assert again["pid"] != facts["pid"]
    assert ended(facts["pid"])
    status = user.status()
    assert status["source"]["kind"] == "test_pattern"
    assert status["output"]["size"] == "320x240"
    user.command("stop")


def test_stop_ends_a_daemon_that_does_not_answer(user):
    facts = started(user)
    os.kill(facts["pid"], signal.SIGSTOP)
    said = user.command("stop").stdout
    assert "was killed" in said
    assert ended(facts["pid"])


def test_stop_never_signals_a_stranger(user):
    """A run file left by a crash names a process id that belongs to somebody else by now."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as stranger:
        folder = user.home / "runtime" / "phosphene"
        folder.mkdir(mode=0o700)
        (folder / "run.json").write_text(
            json.dumps({"pid": stranger.pid, "born": "1", "port": 9, "host": "127.0.0.1"})
        )
        assert user.command("stop", check=False).returncode == 4
        assert user.command("status", check=False).returncode == 4
        assert stranger.poll() is None
        stranger.kill()


def test_start_hands_on_the_fault_of_the_daemon(user):
    failed = user.command("start", "--style", "nosuchstyle", check=False)
    assert failed.returncode == 3
    assert "there is no style 'nosuchstyle'" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_logs_follow(user):
    facts = started(user)
    command = [sys.executable, "-u", "-m", "daemon", "logs", "-f", "-n", "0"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        env=user.environment,
        cwd=user.home,
    ) as following:
        heard: list[str] = []
        reader = threading.Thread(target=lambda: heard.extend(following.stdout), daemon=True)
        reader.start()
        deadline = time.monotonic() + 20
        while not any("mode freeze" in line for line in heard) and time.monotonic() < deadline:
            user.command("freeze")
            time.sleep(0.2)
        following.send_signal(signal.SIGINT)
        assert following.wait(10) == 130
        reader.join(5)
    assert any("mode freeze" in line for line in heard)
    user.command("stop")
    assert ended(facts["pid"])


def test_run_by_path_ignores_packages_of_the_current_folder(tmp_path):
    (tmp_path / "daemon").mkdir()
    (tmp_path / "daemon" / "__init__.py").write_text("raise SystemExit('the wrong package')")
    program = [sys.executable, str(ROOT / "daemon" / "__main__.py"), "--version"]
    done = subprocess.run(program, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.startswith("phosphene ")


def test_debug_shows_the_traceback(user):
    done = user.command("--debug", "validate", "/nonexistent.yaml", check=False)
    assert done.returncode == 3
    assert "Traceback" in done.stderr


def test_doctor_and_devices_in_json(user):
    done = user.command("doctor", "--json", check=False)
    facts = json.loads(done.stdout)
    assert done.returncode == {"ok": 0, "warning": 10, "problem": 11}[facts["worst"]]
    kinds = {kind["kind"] for kind in json.loads(user.command("devices", "--json").stdout)["sources"]}
    assert {"webcam", "demo", "noise"} <= kinds


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_gets_the_page_with_its_token_and_the_live_line(user):
    import pty

    terminal, inner = pty.openpty()
    command = [sys.executable, "-m", "daemon", "run", *RUN]
    environment = {**user.environment, "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(
        command, stdin=inner, stdout=inner, stderr=inner, env=environment, cwd=user.home
    ) as run:
        os.close(inner)
        said = b""
        deadline = time.monotonic() + 60
        while not (b"#token=" in said and b" out fps" in said) and time.monotonic() < deadline:
            said += os.read(terminal, 65536)
        run.send_signal(signal.SIGINT)
        drain = threading.Thread(target=_drain, args=(terminal,), daemon=True)
        drain.start()
        assert run.wait(20) == 130
    token = (user.home / "state" / "phosphene" / "token").read_text().strip()
    assert token.encode() in said
    assert b" out fps" in said
    assert token not in (user.home / "state" / "phosphene" / "phosphene.log").read_text()


def _drain(terminal):
    with contextlib.suppress(OSError):
        while os.read(terminal, 65536):
            pass
