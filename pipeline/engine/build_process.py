"""Runs `pipeline.engine.building` as a process at low priority and waits for it, on a thread that may wait."""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Final

from pipeline.engine.job import Job

log = logging.getLogger(__name__)

LIMIT_S: Final = 3600.0  # TensorRT takes minutes; what takes an hour is stuck


class BuildError(Exception):
    """With one sentence for people."""


class BuildStoppedError(Exception):
    """Something newer is wanted, or the program ends."""


def build_in_process(job: Job, folder: Path, stop: threading.Event) -> None:
    """Files for `job` in `folder`. Raises BuildError with a sentence, or BuildStoppedError soon after `stop` is set."""
    root = str(Path(__file__).resolve().parents[2])
    program = (
        f"import sys; sys.path[:0] = [{root!r}]; from pipeline.engine.building import main; sys.exit(main())"
    )
    unsafe_path_off = ["-P"] if sys.version_info >= (3, 11) else []
    options: dict[str, Any] = (
        {"creationflags": 0x4000} if sys.platform == "win32" else {}  # BELOW_NORMAL_PRIORITY_CLASS
    )
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        process = subprocess.Popen(
            [sys.executable, *unsafe_path_off, "-c", program],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, encoding="utf-8", **options,
        )  # fmt: skip
        try:
            said = _heard(process, {"job": job.to_json(), "folder": str(folder)}, stop)
        finally:
            process.kill()
            process.wait()
            assert process.stdin is not None
            with contextlib.suppress(OSError):  # what it never read
                process.stdin.close()
        if said.get("say") == "done":
            return
        errors.seek(0)
        log.warning("engine %s could not be built:\n%s", job.kind, errors.read()[-4000:])
        code = process.returncode
        ended = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        raise BuildError(said.get("message") or f"its build {ended}")


def _heard(process: subprocess.Popen[str], asked: dict[str, Any], stop: threading.Event) -> dict[str, Any]:
    """The build's last word; {} where it ended without one."""
    assert process.stdin is not None
    assert process.stdout is not None
    last: list[dict[str, Any]] = [{}]

    def listen(lines: Any) -> None:
        with lines:
            for line in lines:
                last[0] = json.loads(line)
                log.info("building: %s", last[0].get("message", last[0]["say"]))

    listener = threading.Thread(target=listen, args=(process.stdout,), daemon=True)
    listener.start()
    with contextlib.suppress(OSError):  # it has ended already: the loop below notices
        process.stdin.write(json.dumps(asked) + "\n")
        process.stdin.flush()
    deadline = time.monotonic() + LIMIT_S
    while process.poll() is None:
        if stop.wait(0.1):
            raise BuildStoppedError
        if time.monotonic() > deadline:
            raise BuildError(f"its build took more than {LIMIT_S / 60:.0f} minutes")
    listener.join(5.0)
    return last[0]
