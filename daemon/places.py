"""Where the daemon keeps things, and which daemon of this user runs.

config folder    config.yaml of the user
state folder     token, stream key (0600), log; folder 0700
runtime folder   lock and run file (pid, port): in /run/user/UID where there is one, else in the state folder
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from daemon.exit_codes import AlreadyRunning
from pipeline.errors import PhospheneError

log = logging.getLogger(__name__)

NAME = "phosphene"


def import_root() -> Path:
    """The folder that holds the packages: `sys.path[0]` of child processes.

    Else a `daemon/` in the folder they are started in would be taken for ours.
    """
    return Path(__file__).resolve().parent.parent


def packaged_config() -> Path:
    """The default `config.yaml`: beside this package in a checkout, inside it in a wheel."""
    wheel = Path(__file__).resolve().parent / "config.yaml"
    return wheel if wheel.exists() else import_root() / "config.yaml"


def config_folder() -> Path:
    import platformdirs

    return platformdirs.user_config_path(NAME, appauthor=False)


def user_config() -> Path:
    return config_folder() / "config.yaml"


def pictures_folder() -> Path:
    """Small pictures of styles: can be deleted at any time. Not made here."""
    import platformdirs

    return platformdirs.user_cache_path(NAME, appauthor=False) / "pictures"


def state_folder() -> Path:
    """Made on first use, readable by its owner only."""
    import platformdirs

    return _own_folder(platformdirs.user_state_path(NAME, appauthor=False))


def runtime_folder() -> Path:
    """Made on first use, readable by its owner only.

    The same one whether a command runs in a desktop session, over ssh or from cron: $XDG_RUNTIME_DIR, else
    /run/user/UID, else `run` in the state folder; one that belongs to somebody else is not used.
    """
    if sys.platform == "linux":
        uid = os.getuid()
        base = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{uid}")
        if base.is_absolute() and base.is_dir() and base.stat().st_uid == uid:
            return _own_folder(base / NAME)
    return _own_folder(state_folder() / "run")


def _own_folder(path: Path) -> Path:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise PhospheneError(
            f"cannot make the folder {path}: {error.strerror}", f"make it: mkdir -p {path}"
        ) from None
    return path


def log_file() -> Path:
    return state_folder() / "phosphene.log"


def panic_file() -> Path:
    """There while panic is on (see `daemon.panic_mark`)."""
    return state_folder() / "panic"


def token_file() -> Path:
    """Mode 0600; whoever can read it can do everything the HTTP API offers."""
    return state_folder() / "token"


def stream_key_file() -> Path:
    """Mode 0600; the key in it opens pictures and nothing else."""
    return state_folder() / "stream_key"


def token() -> str:
    """The token of the HTTP API; made at first use."""
    from integrations.web.auth import load_secret

    return load_secret(token_file())


# ---------------------------------------------------------------- the running daemon


@dataclass(frozen=True, slots=True)
class Running:
    """The run file. port 0: not listening yet. started: seconds since the epoch. born: see `birth_of`.

    arguments, folder: of `phosphene run`, for `phosphene restart`; None when it was started in another way.
    """

    pid: int
    host: str = ""
    port: int = 0
    started: float = 0.0
    born: str = ""
    log: str = ""
    version: str = ""
    arguments: list[str] | None = None
    folder: str = ""

    @property
    def url(self) -> str:
        """Base of the HTTP API. A daemon that listens everywhere is asked on loopback."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(self.host, self.host)  # noqa: S104
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def running() -> Running | None:
    """The run file's content, also of a daemon that has died since; None where there is none."""
    try:
        data = json.loads((runtime_folder() / "run.json").read_text("utf-8"))
        return Running(**{key: data[key] for key in Running.__dataclass_fields__ if key in data})
    except (FileNotFoundError, ValueError, TypeError):
        return None


def is_alive(run: Running) -> bool:
    """Whether the process of the run file still is the daemon that wrote it, not a later one of that pid."""
    return birth_of(run.pid) == run.born if run.born else _exists(run.pid)


def birth_of(pid: int) -> str:
    """Tells a process from a later one of the same pid: its start in ticks since boot. "" where unknown."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    after = stat.rpartition(")")[2].split()
    return "" if after[0] in "ZX" else after[19]


def _exists(pid: int) -> bool:
    if sys.platform == "win32":
        return True  # os.kill would end it; the lock decides
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextlib.contextmanager
def lock() -> Iterator[None]:
    """Be the one daemon of this user while the block runs. Raises AlreadyRunning with the holder's pid."""
    from filelock import FileLock, Timeout

    folder = runtime_folder()
    try:
        with FileLock(folder / "lock", timeout=0.3):
            _write(folder, Running(os.getpid(), started=time.time(), born=birth_of(os.getpid())))
            try:
                yield
            finally:
                (folder / "run.json").unlink(missing_ok=True)
    except Timeout:
        holder = running()
        who = f"process {holder.pid}" if holder else "another process"
        raise AlreadyRunning(
            f"phosphene is running already ({who})", "stop it first: phosphene stop"
        ) from None


def announce(address: str) -> None:
    """Say where the HTTP API listens ("http://127.0.0.1:8520"); other commands find it from now on.

    Only for the process that holds the lock.
    """
    from urllib.parse import urlsplit

    from daemon.version import version

    parts = urlsplit(address)
    found = running()
    arguments = sys.argv[2:] if sys.argv[1:2] == ["run"] else None
    ours = (
        found if found is not None and found.pid == os.getpid() else Running(os.getpid(), started=time.time())
    )
    _write(
        runtime_folder(),
        replace(
            ours,
            host=parts.hostname or "127.0.0.1",
            port=parts.port or 80,
            log=str(log_file()),
            version=version(),
            born=birth_of(os.getpid()),
            arguments=arguments,
            folder=os.getcwd(),
        ),
    )


def _write(folder: Path, run: Running) -> None:
    """The lock alone decides who runs: a full disk costs the other commands their way to it, and not the picture."""
    temporary = folder / "run.json.new"
    try:
        temporary.write_text(json.dumps(asdict(run)) + "\n", "utf-8")
        os.replace(temporary, folder / "run.json")
    except OSError as error:
        log.error(
            "%s cannot be written: %s; other commands do not find this daemon until it is started again",
            folder / "run.json", error.strerror,
        )  # fmt: skip
        with contextlib.suppress(OSError):
            temporary.unlink()
