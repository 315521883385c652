"""Runs commands against real V4L2 drivers, in a guest kernel (see guest/run.sh)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[2]
LOOPBACKS = ("0.12", "0.13", "0.15")
VIVID = "vivid n_devs=1 node_types=0x1 num_inputs=1 input_types=0x0"
ONE_LOOPBACK = 'v4l2loopback devices=1 video_nr=10 exclusive_caps=1 card_label="Virtual Camera"'
TWO_LOOPBACKS = (
    'v4l2loopback devices=2 video_nr=10,11 exclusive_caps=1,1 card_label="Virtual Camera","Second Camera"'
)


def why_not() -> str | None:
    """Why the guest may not or cannot be used here; None when it can."""
    if sys.platform != "linux":
        return "the guest kernel needs Linux"
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "phosphene" / "guest-kernel"
    cache = Path(os.environ.get("GUEST_CACHE", cache))
    built = any((cache / kind / "stamp-1").exists() for kind in ("uml", "qemu"))
    if os.environ.get("PHOSPHENE_E2E") == "1":
        return None
    if os.geteuid() == 0 and built:
        return None
    if built:
        return "real V4L2 drivers: set PHOSPHENE_E2E=1 (or run as root)"
    return "real V4L2 drivers: set PHOSPHENE_E2E=1; it compiles a guest kernel once (some minutes, Debian 12)"


def run(
    command: str | Sequence[str],
    *,
    loopback: str = "0.12",
    modules: Sequence[str] = (VIVID, ONE_LOOPBACK),
    shared: Sequence[Path] = (),
    cwd: Path = REPOSITORY,
    env: dict[str, str] | None = None,
    timeout_s: float = 240,
) -> subprocess.CompletedProcess[str]:
    """Boot, run `command` (a line for bash, or its arguments) as root in `cwd`, power off.

    loopback: version of v4l2loopback. modules: lines for modprobe. shared: folders that the command may
    really write to; everything else that it writes is thrown away. Its exit status: 124 timed out, 125
    the guest failed.
    """
    argv = ["bash", "-c", command] if isinstance(command, str) else list(command)
    environment = {
        **os.environ,
        **(env or {}),
        "PYTHONDONTWRITEBYTECODE": "1",
        "GUEST_LOOPBACK": loopback,
        "GUEST_MODULES": "\n".join(modules),
        "GUEST_SHARED": ":".join(str(folder) for folder in shared),
        "GUEST_TIMEOUT": str(round(timeout_s)),
    }
    return subprocess.run(
        [str(HERE / "guest" / "run.sh"), *argv],
        cwd=cwd,
        env=environment,
        text=True,
        capture_output=True,
        check=False,
    )


def run_tests(
    file: str,
    *,
    loopback: str,
    modules: Sequence[str] = (VIVID, ONE_LOOPBACK),
    test_s: int = 120,
    timeout_s: float = 240,
) -> str:
    """Run a test file of this folder inside the guest; its output. Raises AssertionError with it on
    failure."""
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-s",
        "-p",
        "no:cacheprovider",
        "-o",
        "addopts=",
        f"--timeout={test_s}",
    ]
    ended = run(
        [*argv, "-W", "error", str(HERE / file)], loopback=loopback, modules=modules, timeout_s=timeout_s
    )
    assert ended.returncode == 0, f"v4l2loopback {loopback}, {file}: {ended.stdout}\n{ended.stderr}"
    return ended.stdout
