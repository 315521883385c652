"""The program as its user starts it: a subprocess with folders of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
CACHE = Path(tempfile.gettempdir()) / "phosphene-test-cache"
"""Shared by all: an engine is compiled once, and not beside every test."""


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Daemon:
    """`phosphene run …` and, beside it, any other command of the same user."""

    def __init__(self, home: Path, environment: Mapping[str, str] | None = None) -> None:
        """environment: beside the folders, e.g. for `tests.faults`."""
        self.home = home
        for name in ("config", "state", "runtime"):
            (home / name).mkdir(mode=0o700, exist_ok=True)
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("PHOSPHENE_")},
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_STATE_HOME": str(home / "state"),
            "XDG_RUNTIME_DIR": str(home / "runtime"),
            "XDG_CACHE_HOME": str(CACHE),
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "default",
            **(environment or {}),
        }
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def start(self, *arguments: str) -> Daemon:
        """Run in the foreground of a process of its own, page on a free port."""
        argv = [sys.executable, "-m", "daemon", "run", "--port", "0", *arguments]
        with (self.home / "output.txt").open("a") as output:
            self.process = subprocess.Popen(
                argv, stdout=output, stderr=subprocess.STDOUT, env=self.environment, cwd=self.home, text=True
            )
        return self

    def command(
        self, *arguments: str, check: bool = True, seconds: float = 60
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "daemon", *arguments],
            capture_output=True, text=True, env=self.environment, cwd=self.home, timeout=seconds, check=False,
        )  # fmt: skip
        if check:
            assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def http(self, path: str, body: Any = None, timeout_s: float = 5.0, method: str | None = None) -> Any:
        """The daemon's own API, as its page uses it: costs no process. Raises OSError while it does not answer."""
        run = json.loads((self.home / "runtime" / "phosphene" / "run.json").read_text())
        token = (self.home / "state" / "phosphene" / "token").read_text().strip()
        request = urllib.request.Request(
            f"http://127.0.0.1:{run['port']}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            data = answer.read()
            return json.loads(data) if data else None

    def submit(self, **command: Any) -> None:
        """One command, over HTTP."""
        self.http("/api/v1/commands", command)

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = json.loads(self.command("status", "--json").stdout)
        return status

    def wait(self, condition: Callable[[dict[str, Any]], object], seconds: float = 90) -> dict[str, Any]:
        """The first status that meets `condition`."""
        deadline = time.monotonic() + seconds
        status: dict[str, Any] = {}
        while time.monotonic() < deadline:
            assert self.process is not None
            if (code := self.process.poll()) is not None:
                raise AssertionError(f"the daemon ended with {code}:\n{self.output}")
            try:
                status = self.http("/api/v1/status")
            except (OSError, ValueError):
                status = {}  # it does not answer yet
            if "sinks" in status and condition(status):
                return status
            time.sleep(0.05)
        raise AssertionError(
            f"not within {seconds} s; last status: {json.dumps(status, indent=1)}\n{self.output}"
        )

    def painting(self, seconds: float = 90) -> dict[str, Any]:
        """Wait until painted pictures reach the sinks."""
        return self.wait(
            lambda s: s["engine"]["status"] == "ready" and s["sinks"][0]["showing"] == "styled", seconds
        )

    @property
    def output(self) -> str:
        return (self.home / "output.txt").read_text()

    def children(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self, signal_number: int = signal.SIGTERM, seconds: float = 20) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(
                f"still running {seconds} s after signal {signal_number}:\n{self.output}"
            ) from None
