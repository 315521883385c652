"""Folders, secrets, the lock and the run file."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from daemon import places
from daemon.exit_codes import AlreadyRunning

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="XDG folders")


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    for name, key in (
        ("config", "XDG_CONFIG_HOME"),
        ("state", "XDG_STATE_HOME"),
        ("runtime", "XDG_RUNTIME_DIR"),
    ):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(key, str(tmp_path / name))


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_state_and_token_are_private():
    token = places.token()
    assert token == places.token()
    assert len(token) >= 32
    assert mode(places.token_file()) == 0o600
    assert mode(places.state_folder()) == 0o700
    assert mode(places.runtime_folder()) == 0o700


def test_runtime_folder_of_somebody_else_or_none_is_not_used(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "not there"))
    assert places.runtime_folder() == places.state_folder() / "run"
    (tmp_path / "theirs").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "theirs"))
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert places.runtime_folder() == places.state_folder() / "run"


def test_lock_is_held_by_one_and_names_it():
    with places.lock():
        run = places.running()
        assert run is not None
        assert run.pid == os.getpid()
        assert places.is_alive(run)
        with pytest.raises(AlreadyRunning, match=f"process {os.getpid()}"), places.lock():
            pass
    assert places.running() is None
    with places.lock():
        pass


def test_announced_address():
    with places.lock():
        places.announce("http://127.0.0.1:4711")
        run = places.running()
        assert run is not None
        assert run.url == "http://127.0.0.1:4711"
        assert places.is_alive(run)


def test_addresses_that_others_can_be_asked_at():
    assert places.Running(1, "0.0.0.0", 80).url == "http://127.0.0.1:80"
    assert places.Running(1, "::", 80).url == "http://[::1]:80"


def test_a_killed_holder_leaves_nothing_that_locks():
    code = "import os; from daemon import places; l = places.lock(); l.__enter__(); os.kill(os.getpid(), 9)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT)
    assert done.returncode == -9
    run = places.running()
    assert run is not None
    assert not places.is_alive(run)
    with places.lock():
        assert places.running().pid == os.getpid()


def test_a_later_process_of_the_same_pid_is_not_taken_for_the_daemon():
    run = places.Running(os.getpid(), born="1")
    assert not places.is_alive(run)
    assert places.is_alive(places.Running(os.getpid(), born=places.birth_of(os.getpid())))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1, "unknown": 2}', "\x00"])
def test_a_damaged_run_file_is_no_daemon(text):
    (places.runtime_folder() / "run.json").write_text(text)
    run = places.running()
    assert run is None or json.loads(text)["pid"] == run.pid


def test_a_run_file_that_cannot_be_written_does_not_stop_the_daemon(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(places.os, "replace", full)
    with places.lock():
        places.announce("http://127.0.0.1:8520")
        assert places.running() is None
        with pytest.raises(AlreadyRunning, match="another process"), places.lock():
            pass
    assert "No space left on device" in caplog.text
    assert not list((tmp_path / "phosphene").glob("run.json*"))
