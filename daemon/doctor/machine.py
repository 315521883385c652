"""Processor, GPU, memory, disk, port, desktop."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from daemon import places
from daemon.doctor.finding import Finding, ok, problem, warning
from daemon.settings import Settings

LEAST_MEMORY: Final = 1_500_000_000  # bytes: the built-in model with torch takes about 1 GB
LEAST_DISK: Final = 200_000_000
ASK_S: Final = 5.0


def check_machine() -> Iterator[Finding]:
    flags = _cpu_flags()
    fast = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in flags]
    yield ok("machine", f"{os.cpu_count()} processor cores{', ' + ' '.join(fast) if fast else ''}")
    if (free := _free_memory()) is not None:
        said = f"{free / 1e9:.1f} GB of memory are free"
        few = free < LEAST_MEMORY
        yield (
            warning("machine", said, "close other programs; 1.5 GB are needed")
            if few
            else ok("machine", said)
        )
    disk = shutil.disk_usage(places.state_folder()).free
    if disk < LEAST_DISK:
        yield warning(
            "machine", f"only {disk / 1e6:.0f} MB are free in {places.state_folder()}", "make room there"
        )
    yield _gpu()


def _gpu() -> Finding:
    cards = _nvidia_cards()
    try:
        torch = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        torch = ""
    if not cards:
        return ok("machine", "no NVIDIA GPU answers; the processor paints")
    if "+cpu" in torch:
        mend = "install a CUDA build of torch in phosphene's environment (see README, Install)"
        return warning("machine", f"{cards[0]} is there, but torch {torch} cannot use it", mend)
    return ok("machine", f"GPU: {'; '.join(cards)}")


def _nvidia_cards() -> list[str]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    fields = "--query-gpu=name,driver_version,memory.total"
    try:
        said = subprocess.run(
            [tool, fields, "--format=csv,noheader"], capture_output=True, text=True, timeout=ASK_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in said.stdout.splitlines() if line.strip()]


def _cpu_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return next((set(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), set())


def _free_memory() -> int | None:
    """Bytes; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else None


# ---------------------------------------------------------------- network


def check_network(settings: Settings) -> Iterator[Finding]:
    run = places.running()
    if run is not None and places.is_alive(run):
        yield ok("network", f"phosphene runs (process {run.pid}) at {run.url}")
        return
    host, port = settings.web.host, settings.web.port
    if port == 0:
        yield ok("network", "the page takes any free port")
        return
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            if sys.platform != "win32":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        mend = f"end what holds it (ss -ltnp 'sport = :{port}'), or set web.port to another one"
        yield problem("network", f"{host} port {port} cannot be used: {error.strerror}", mend)
    else:
        yield ok("network", f"{host} port {port} is free for the page")


# ---------------------------------------------------------------- desktop


def check_desktop() -> Iterator[Finding]:
    """Linux: session type and packaged browsers, which see fewer cameras."""
    if sys.platform != "linux":
        return
    session = os.environ.get("XDG_SESSION_TYPE") or ("x11" if os.environ.get("DISPLAY") else "")
    said = {
        "wayland": "Wayland session",
        "x11": "X11 session",
    }.get(session, "no desktop session")
    yield ok("desktop", said)
    for name in ("firefox", "chromium"):
        if Path("/snap", name).is_dir():
            yield ok(
                "desktop",
                f"{name} is a snap; it sees cameras once allowed",
                f"sudo snap connect {name}:camera",
            )
    for name in ("us.zoom.Zoom", "com.discordapp.Discord", "org.mozilla.firefox", "com.google.Chrome"):
        if any(
            (Path(base).expanduser() / name).is_dir()
            for base in ("/var/lib/flatpak/app", "~/.local/share/flatpak/app")
        ):
            yield ok(
                "desktop",
                f"{name} is a flatpak; it sees /dev/video devices once allowed",
                f"flatpak override --user --device=all {name}",
            )
