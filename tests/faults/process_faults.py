"""Faults of the two children and of the host, injected from outside (signals, limits) and inside (`site/`)."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import time
from pathlib import Path

import psutil

from daemon.exit_codes import ExitCode
from tests.faults.campaign import Act, Fault, Scene
from tests.running import CACHE


def child(role: str, number: int) -> Act:
    def act(scene: Scene) -> None:
        os.kill(scene.status()["processes"][role], number)

    return act


def kill_now(role: str) -> Act:
    """SIGKILL as soon as there is a process."""

    def act(scene: Scene) -> None:
        deadline = time.monotonic() + 20
        while (pid := scene.status()["processes"][role]) is None:
            if scene.status()["source"]["status"] == "given up":
                return
            assert time.monotonic() < deadline, f"no {role} to kill"
            time.sleep(0.02)
        os.kill(pid, signal.SIGKILL)

    return act


def restarted(part: str, seconds: float = 25) -> Act:
    """Wait until the part has been started anew since the act before."""

    def act(scene: Scene) -> None:
        scene.wait(lambda s: s[part]["restarts"] > scene.kept[part], seconds, f"{part} is started again")

    return act


def counted(part: str, inject: Act) -> Act:
    """`inject`, after the part's restarts have been noted for `restarted`."""

    def act(scene: Scene) -> None:
        scene.kept[part] = scene.status()[part]["restarts"]
        inject(scene)

    return act


def inside(what: str) -> Act:
    """Ask `site/sitecustomize.py` for a fault of the denoiser, and wait until it has been taken."""

    def act(scene: Scene) -> None:
        asked = scene.daemon.home / "faults" / "denoiser"
        asked.with_suffix(".new").write_text(what)
        asked.with_suffix(".new").rename(asked)
        deadline = time.monotonic() + 20
        while asked.exists() and what != "raise-always":
            assert time.monotonic() < deadline, f"{what} was not taken by a call of the denoiser"
            time.sleep(0.01)

    return act


def starve(scene: Scene) -> None:
    """The engine may have no more memory than it has: its next allocation fails, for real."""
    engine = psutil.Process(scene.status()["processes"]["engine"])
    engine.rlimit(resource.RLIMIT_AS, (engine.memory_info().vms, resource.RLIM_INFINITY))
    inside("allocate")(scene)


def kill_build(scene: Scene) -> None:
    """A new engine without a cache builds the faster one; the building process is killed as soon as there is one."""
    assert scene.daemon.process is not None
    shutil.rmtree(CACHE / "phosphene" / "engines", ignore_errors=True)
    child("engine", signal.SIGKILL)(scene)
    restarted("engine")(scene)  # its predecessor's build is not meant
    host, deadline = psutil.Process(scene.daemon.process.pid), time.monotonic() + 60
    while True:
        assert time.monotonic() < deadline, "no engine is being built"
        for process in host.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if "pipeline.engine.building" in " ".join(process.cmdline()):
                    process.kill()
                    return
        time.sleep(0.01)


def refused(scene: Scene) -> None:
    scene.wait(lambda s: s["engine"].get("refused"), 30, "why the faster engine does not paint")


def memory_groups() -> Path | None:
    """Where control groups with a memory limit can be made; None where this user cannot."""
    first, second = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")  # of the older and the newer kind
    for folder, limit in ((first, "memory.limit_in_bytes"), (second, "memory.max")):
        made = folder / f"faults-{os.getpid()}"
        try:
            made.mkdir()
        except OSError:
            continue
        usable = (made / limit).exists()
        made.rmdir()
        if usable:
            return folder
    return None


def overfill(scene: Scene) -> None:
    """The engine in a group of 64 MiB, filling half a GiB: the kernel kills it, as it does when the machine is full."""
    groups = memory_groups()
    assert groups is not None
    group = scene.kept["group"] = groups / f"faults-{os.getpid()}"
    group.mkdir()
    limit = next(group / name for name in ("memory.limit_in_bytes", "memory.max") if (group / name).exists())
    limit.write_text(str(64 << 20))
    (group / "cgroup.procs").write_text(str(scene.status()["processes"]["engine"]))
    inside("fill")(scene)


def leave_group(scene: Scene) -> None:
    deadline = time.monotonic() + 10
    while scene.kept["group"].exists():
        try:
            scene.kept["group"].rmdir()
        except OSError:  # its process is still ending
            assert time.monotonic() < deadline
            time.sleep(0.05)


def freeze_host(seconds: float) -> Act:
    def act(scene: Scene) -> None:
        assert scene.daemon.process is not None
        os.kill(scene.daemon.process.pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(scene.daemon.process.pid, signal.SIGCONT)

    return act


def end_host(number: int) -> Act:
    """The daemon itself is ended and started again with the same options, as a service does."""

    def act(scene: Scene) -> None:
        assert scene.daemon.process is not None
        os.kill(scene.daemon.process.pid, number)
        scene.daemon.process.wait(10)
        scene.daemon.start(*scene.kept["arguments"])

    return act


def second_daemon(scene: Scene) -> None:
    assert scene.daemon.process is not None
    done = scene.daemon.command("run", "--port", "0", check=False)
    assert done.returncode == ExitCode.ALREADY_RUNNING, done
    assert f"process {scene.daemon.process.pid}" in done.stderr + done.stdout


def wait(seconds: float) -> Act:
    return lambda scene: time.sleep(seconds)


LOAD_S = 45.0
"""For a hang to be noticed (10 s), and for a new engine to import PyTorch, to load the model and to paint, on a small
busy machine; meanwhile a viewer gets the last picture and then the card."""

HOST_S = 3.0
"""For a daemon that is started: Python, the settings, the first card. v4l2loopback shows the last picture meanwhile."""

FAULTS = (
    Fault("nothing, for comparison", wait(10)),
    Fault(
        "engine killed (SIGKILL)", counted("engine", child("engine", signal.SIGKILL)),
        cause="killed by signal 9", within_s=LOAD_S,
    ),
    Fault(
        "engine crashes (SIGSEGV)", counted("engine", child("engine", signal.SIGSEGV)),
        cause="killed by signal 11", within_s=LOAD_S,
    ),
    Fault(
        "engine stopped (SIGSTOP)", counted("engine", child("engine", signal.SIGSTOP)),
        cause="said nothing for 10 s", within_s=LOAD_S,
    ),
    Fault(
        "denoiser raises", counted("engine", inside("raise")), cause="fallen off the bus", within_s=LOAD_S
    ),
    Fault(
        "denoiser aborts the process", counted("engine", inside("crash")), cause="killed by signal 6",
        within_s=LOAD_S,
    ),
    Fault("denoiser hangs for 10 s", inside("hang 10"), mend=wait(10), within_s=LOAD_S),
    Fault(
        "denoiser hangs for good", counted("engine", inside("hang 1000")), cause="busy with one call",
        within_s=LOAD_S,
    ),
    Fault(
        "denoiser hangs with the interpreter's lock", counted("engine", inside("hold 1000")),
        cause="said nothing for 10 s", within_s=LOAD_S,
    ),
    Fault(
        "the build of the faster engine is killed", counted("engine", kill_build),
        cause="its build was killed by signal 9", hold=refused, within_s=LOAD_S, in_status=False,
    ),
    Fault("NaN for a second", inside("nan 1"), mend=wait(1), cause="NaN", in_status=False),
    Fault(
        "NaN for good", counted("engine", inside("nan 1000")), cause="nothing but NaN", within_s=LOAD_S
    ),
    Fault(
        "engine out of memory", counted("engine", starve), cause="memory ran out",
        hold=restarted("engine"), within_s=LOAD_S,
    ),
    *(
        [
            Fault(
                "engine killed by the kernel for memory", counted("engine", overfill),
                cause="memory", hold=leave_group, within_s=LOAD_S,
            )
        ]
        if memory_groups() is not None
        else []
    ),
    Fault(
        "capture killed (SIGKILL)", counted("source", child("capture", signal.SIGKILL)),
        cause="killed by signal 9",
    ),
    Fault(
        "capture crashes (SIGSEGV)", counted("source", child("capture", signal.SIGSEGV)),
        cause="killed by signal 11",
    ),
    Fault(
        "capture stopped (SIGSTOP)", counted("source", child("capture", signal.SIGSTOP)),
        cause="no picture for", within_s=3.0, hold=restarted("source"),
    ),
    Fault("host stopped for 3 s (SIGSTOP, SIGCONT)", freeze_host(3), gap_s=3.3),
    Fault("host stopped for 12 s (SIGSTOP, SIGCONT)", freeze_host(12), gap_s=12.3),
    Fault("a second daemon is started: it says who runs", second_daemon),
    Fault(
        "the daemon is ended (SIGTERM) and started again", end_host(signal.SIGTERM), gap_s=HOST_S,
        within_s=LOAD_S,
    ),
    Fault(
        "the daemon is killed (SIGKILL) and started again", end_host(signal.SIGKILL), gap_s=HOST_S,
        within_s=LOAD_S,
    ),
)  # fmt: skip
