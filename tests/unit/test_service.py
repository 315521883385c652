"""What installs the daemon as a service, and how it talks to systemd."""

import os
import plistlib
import shutil
import socket
import subprocess
import sys

import pytest

from daemon.service import launchd, systemd, windows
from daemon.service.notify import Notifier

COMMAND = ["/opt/my python/bin/python", "/opt/50%/daemon/__main__.py", "run"]


def test_unit_quotes_what_systemd_would_read_otherwise():
    line = next(line for line in systemd.unit_text(COMMAND).splitlines() if line.startswith("ExecStart="))
    assert line == 'ExecStart="/opt/my python/bin/python" /opt/50%%/daemon/__main__.py run'


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_the_unit(tmp_path):
    (unit := tmp_path / "phosphene.service").write_text(systemd.unit_text([sys.executable, "run"]))
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", str(unit)], capture_output=True, text=True, env=environment
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_install_and_uninstall_without_a_manager(tmp_path, monkeypatch):
    for name, key in (("c", "XDG_CONFIG_HOME"), ("s", "XDG_STATE_HOME"), ("r", "XDG_RUNTIME_DIR")):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(key, str(tmp_path / name))
    said = systemd.install(COMMAND, now=False)
    path = tmp_path / "c" / "systemd" / "user" / "phosphene.service"
    assert path.read_text() == systemd.unit_text(COMMAND)
    assert "systemctl --user enable" in said
    assert systemd.install(COMMAND, now=False) == said
    assert str(path) in systemd.uninstall()
    assert not path.exists()
    assert "there is no service" in systemd.uninstall()


def test_launchd_agent_is_a_property_list(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    agent = plistlib.loads(plistlib.dumps(launchd.agent(COMMAND)))
    assert agent["ProgramArguments"] == COMMAND
    assert agent["KeepAlive"] == {"SuccessfulExit": False}


def test_windows_entry_doubles_quotes():
    text = windows.entry_text([r"C:\Program Files\python.exe", "run"])
    assert r'shell.Run """C:\Program Files\python.exe"" run", 0, False' in text


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets")
@pytest.mark.parametrize("abstract", [False, True])
def test_notifier_speaks_to_the_socket(tmp_path, monkeypatch, abstract):
    if abstract and sys.platform != "linux":
        pytest.skip("abstract sockets are Linux's")
    name = f"phosphene-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name if abstract else name)
        manager.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name if abstract else name)
        monkeypatch.setenv("WATCHDOG_USEC", "3000000")
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
        notifier = Notifier()
        notifier.ready("painting")
        notifier.watchdog()
        notifier.watchdog()  # too soon to be sent
        notifier.stopping()
        heard = [manager.recv(100) for _ in range(3)]
    assert heard == [b"READY=1\nSTATUS=painting", b"WATCHDOG=1", b"STOPPING=1"]


def test_notifier_is_silent_without_systemd_and_when_it_is_gone(monkeypatch, tmp_path):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    Notifier().ready()
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    Notifier().ready()
