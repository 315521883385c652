"""`phosphene start`, `stop` and `restart`: the daemon as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from daemon import places
from daemon.client import Client
from daemon.commands import show
from daemon.exit_codes import AlreadyRunning, ExitCode, NotRunning
from pipeline.errors import PhospheneError

READY_S: Final = 30.0
STOP_S: Final = 2.5  # for an orderly end, before SIGTERM
TERM_S: Final = 2.0  # after SIGTERM, before SIGKILL
POLL_S: Final = 0.03


def start(arguments: list[str], as_json: bool) -> int:
    """Start `phosphene run` with these arguments, detached, and wait until it answers."""
    run = _spawned(arguments, Path.cwd())
    if as_json:
        show.as_object({"pid": run.pid, "address": run.url, "log": run.log})
    else:
        print(
            f"phosphene runs (process {run.pid}) at {run.url}\n  page: phosphene open, log: phosphene logs -f"
        )
    return ExitCode.OK


def stop(as_json: bool) -> int:
    """End the running daemon, by force if it must be. Raises NotRunning."""
    run = _alive()
    if run is None:
        raise NotRunning("phosphene is not running")
    how = _stopped(run)
    if as_json:
        show.as_object({"pid": run.pid, "ended": how})
    else:
        print(f"phosphene (process {run.pid}) {how}")
    return ExitCode.OK


def restart(arguments: list[str], as_json: bool) -> int:
    """Stop what runs, if anything, and start: with these arguments, or with none with the ones it had."""
    folder = Path.cwd()
    if (run := _alive()) is not None:
        if not arguments and run.arguments is not None and Path(run.folder).is_dir():
            arguments, folder = list(run.arguments), Path(run.folder)
        _stopped(run)
    run = _spawned(arguments, folder)
    if as_json:
        show.as_object({"pid": run.pid, "address": run.url, "log": run.log})
    else:
        print(f"phosphene runs (process {run.pid}) at {run.url}")
    return ExitCode.OK


# ---------------------------------------------------------------- start


def command_line(arguments: list[str]) -> list[str]:
    """`phosphene run …` for this very interpreter and installation."""
    return [sys.executable, str(places.import_root() / "daemon" / "__main__.py"), "run", *arguments]


def _spawned(arguments: list[str], folder: Path) -> places.Running:
    if (run := _alive()) is not None:
        raise AlreadyRunning(
            f"phosphene is running already (process {run.pid})", "stop it first: phosphene stop"
        )
    spoken = places.state_folder() / "start.log"
    detached: dict[str, Any] = (
        {
            "creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
            | getattr(subprocess, "DETACHED_PROCESS", 0)
        }
        if sys.platform == "win32"
        else {"start_new_session": True}
    )
    with spoken.open("wb") as output:
        process = subprocess.Popen(
            command_line(arguments),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PHOSPHENE_DETACHED": "1"},
            **detached,
        )
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if (code := process.poll()) is not None:
            raise StartError(spoken.read_text("utf-8", "replace"), code)
        run = places.running()
        if run is not None and run.pid == process.pid and run.port and Client(run.url, "").healthy():
            process.returncode = 0  # it goes on without us: no "still running" warning when this object ends
            return run
        time.sleep(POLL_S)
    process.kill()
    raise PhospheneError(f"the daemon did not answer within {READY_S:g} s", "see what it says: phosphene run")


class StartError(PhospheneError):
    """The daemon ended at once; `code` is its exit code and the message what it said."""

    def __init__(self, said: str, code: int) -> None:
        said = said.strip().removeprefix("phosphene: ") or f"the daemon ended at once with code {code}"
        message, _, mend = said.partition("\n  → ")
        super().__init__(message, mend if "\n" not in mend else "")
        if "\n" in mend:
            self.message = said
        self.code = code


# ---------------------------------------------------------------- stop


def _alive() -> places.Running | None:
    run = places.running()
    return run if run is not None and places.is_alive(run) else None


def _stopped(run: places.Running) -> str:
    """Ask, then SIGTERM, then SIGKILL; returns how it ended. Only the process that wrote the run file."""

    def gone() -> bool:
        return not places.is_alive(run)

    if run.port:
        try:
            Client(run.url, places.token()).post("/stop", {}, timeout_s=1.0)
            if _until(gone, STOP_S):
                return "has ended"
        except PhospheneError:
            pass  # it does not answer: the signal does it
    for name, patience_s in (("SIGTERM", TERM_S), ("SIGKILL", TERM_S)):
        number = getattr(signal, name, signal.SIGTERM)
        if gone():
            return "has ended"
        try:
            os.kill(run.pid, number)
        except ProcessLookupError:
            return "has ended"
        except PermissionError:
            raise PhospheneError(
                f"process {run.pid} belongs to another user", f"sudo kill {run.pid}"
            ) from None
        if _until(gone, patience_s):
            return "has ended" if name == "SIGTERM" else "did not end in time and was killed"
    raise PhospheneError(f"process {run.pid} does not end", f"see why: ps -o stat,wchan {run.pid}")


def _until(condition: Callable[[], bool], patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True
