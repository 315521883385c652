"""Cameras and virtual cameras."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from daemon.doctor.finding import Finding, ok, problem, warning
from daemon.settings import Settings
from pipeline import v4l2
from pipeline.cameras import list_cameras
from pipeline.errors import PhospheneError

MODULE: Final = Path("/sys/module/v4l2loopback")
RELOAD: Final = (
    "sudo modprobe -r v4l2loopback && "
    'sudo modprobe v4l2loopback video_nr=10 exclusive_caps=1 card_label="Phosphene"'
)
JOIN_GROUP: Final = 'sudo usermod -aG video "$USER", then log in again'


def check_cameras(settings: Settings | None) -> Iterator[Finding]:
    try:
        cameras = list_cameras()
    except PhospheneError as error:
        yield warning("camera", error.message, error.mend)
        return
    real = [camera for camera in cameras if not camera.is_virtual]
    for camera in real:
        yield _camera(camera.name, camera.path, camera.problem)
    if not real:
        kind = settings.source.kind if settings else "auto"
        if kind in ("auto", "webcam"):
            instead = "; `source: auto` shows the demo" if kind == "auto" else ""
            yield warning("camera", f"there is no camera{instead}", "plug one in, or choose another source")
        else:
            yield ok("camera", f"there is none, and the source is {kind}")


def _camera(name: str, path: str, trouble: str) -> Finding:
    what = f"{name} ({path})"
    if sys.platform == "linux":
        if not os.access(path, os.R_OK | os.W_OK):
            return problem("camera", f"{what} may not be opened by this user", JOIN_GROUP)
        if users := v4l2.holders(path):
            who = ", ".join(map(str, users))
            return warning(
                "camera", f"{what} is open in {who}", "close it there; a camera serves one program at a time"
            )
    if trouble:
        return warning("camera", f"{what}: {trouble}", "unplug it and plug it in again")
    offered = offered_by(path)
    return ok("camera", f"{what}: {offered}" if offered else what)


def offered_by(path: str) -> str:
    """What a camera offers, the largest size of each format: "MJPG to 1920x1080 at 30, YUYV to 640x480 at 30"; ""
    where it cannot be asked."""
    if sys.platform != "linux":
        return ""
    try:
        with v4l2.opened(path) as fd:
            modes = v4l2.modes(fd, v4l2.formats(fd))
    except OSError:
        return ""
    largest: dict[str, v4l2.Mode] = {}
    for mode in modes:
        before = largest.get(mode.fourcc)
        if before is None or (mode.size, mode.fps) > (before.size, before.fps):
            largest[mode.fourcc] = mode
    return ", ".join(
        f"{mode.fourcc} to {mode.size}" + (f" at {mode.fps:g}" if mode.fps else "")
        for mode in largest.values()
    )


# ---------------------------------------------------------------- virtual camera


def check_virtual_camera(settings: Settings | None) -> Iterator[Finding]:
    area = "virtual camera"
    if settings is not None and all(choice.kind != "virtual_camera" for choice in settings.sinks):
        yield ok(area, "none is configured")
        return
    if sys.platform != "linux":
        need = "30 or newer" if sys.platform == "darwin" else "26 or newer"
        yield ok(
            area,
            f"OBS's virtual camera is used: install OBS {need}, start its camera once, then stop it there",
        )
        return
    from pipeline.sinks._loopback import how_to_make_one, loopbacks

    paths = loopbacks()
    if not paths:
        loaded = (
            "v4l2loopback is loaded, but has no device" if MODULE.is_dir() else "v4l2loopback is not loaded"
        )
        mend = RELOAD if MODULE.is_dir() else how_to_make_one()
        yield warning(area, f"{loaded}: no call program can see the picture", mend)
        return
    number = module_version()
    if number and number < (0, 13):
        shown = ".".join(map(str, number))
        yield ok(area, f"v4l2loopback {shown}: old, but held open so that it can be used again and again")
    elif number:
        yield ok(area, f"v4l2loopback {'.'.join(map(str, number))}")
    for index, path in enumerate(paths):
        yield _loopback(path, _exclusive_caps(index), settings)
    if not at_boot():
        yield ok(
            area,
            "v4l2loopback is not loaded at boot",
            "echo v4l2loopback | sudo tee /etc/modules-load.d/v4l2loopback.conf; echo 'options v4l2loopback "
            "video_nr=10 exclusive_caps=1 card_label=Phosphene' | sudo tee /etc/modprobe.d/v4l2loopback.conf",
        )


def _loopback(path: str, exclusive: bool | None, settings: Settings | None) -> Finding:
    area = "virtual camera"
    what = f"{v4l2.sysfs_name(path)} ({path})"
    if not os.access(path, os.R_OK | os.W_OK):
        return problem(area, f"{what} may not be opened by this user", JOIN_GROUP)
    users = v4l2.holders(path)
    open_in = f", open in {', '.join(map(str, users))}" if users else ""
    if exclusive is False:
        return warning(
            area, f"{what} lacks exclusive_caps=1: Chrome and Zoom do not list it{open_in}", RELOAD
        )
    kept = kept_format(path) if users else None
    wanted = settings.output.size if settings else None
    if kept is not None and wanted is not None and kept.size != wanted:
        return warning(
            area,
            f"{what} keeps the format {kept.fourcc} {kept.size} and pictures are {wanted}{open_in}",
            f"close it there, or set output.size to {kept.size}",
        )
    return ok(area, f"{what}{open_in}" + (f", format {kept.fourcc} {kept.size}" if kept else ""))


def kept_format(path: str) -> v4l2.PixelFormat | None:
    """What a virtual camera is written in at present; None when it cannot be asked. While it is written, newer drivers
    tell only readers."""
    for side in (v4l2.OUTPUT_BUFFER, v4l2.CAPTURE_BUFFER):
        with contextlib.suppress(OSError), v4l2.opened(path) as fd:
            return v4l2.format_of(fd, side)
    return None


def module_version() -> tuple[int, ...]:
    """Of the loaded v4l2loopback, as numbers; () when it does not say."""
    try:
        text = (MODULE / "version").read_text()
    except OSError:
        return ()
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def _exclusive_caps(index: int) -> bool | None:
    """Of the module's n-th device: `Y,N,…`; None when it does not say."""
    try:
        flags = (MODULE / "parameters" / "exclusive_caps").read_text().strip().split(",")
    except OSError:
        return None
    return flags[index] in ("Y", "1") if index < len(flags) else None


def at_boot() -> bool:
    """Whether some file asks the system to load v4l2loopback at boot."""
    for folder in ("/etc/modules-load.d", "/usr/lib/modules-load.d", "/etc/modules"):
        path = Path(folder)
        files = path.glob("*.conf") if path.is_dir() else [path] if path.is_file() else []
        for file in files:
            try:
                lines = file.read_text("utf-8", "replace").splitlines()
            except OSError:
                lines = []
            if any(line.strip() == "v4l2loopback" for line in lines):
                return True
    return False
