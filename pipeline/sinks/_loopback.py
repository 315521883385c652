"""Writes I420 to a v4l2loopback device and notices what goes wrong. Linux only.

A backend for pyvirtualcam (`pyvirtualcam.register_backend`). Its own one for Linux does not check the
format that it was given, prints a failed write to stderr and goes on, and leaves v4l2loopback < 0.13
unusable when it closes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from typing import Any, Final

from pipeline import v4l2
from pipeline.errors import SinkError
from pipeline.frame import Image, Size

FOURCC: Final = "YU12"  # V4L2's name for I420
LABEL: Final = "Phosphene"
_LOAD: Final = f'sudo modprobe v4l2loopback video_nr=10 exclusive_caps=1 card_label="{LABEL}"'
_RELOAD: Final = f"sudo modprobe -r v4l2loopback && {_LOAD.removeprefix('sudo ')}"
_INSTALL: Final = (
    ("apt-get", "sudo apt install v4l2loopback-dkms"),
    ("dnf", "sudo dnf install v4l2loopback (from RPM Fusion)"),
    ("pacman", "sudo pacman -S v4l2loopback-dkms"),
    ("zypper", "sudo zypper install v4l2loopback-kmp-default"),
)


def loopbacks() -> tuple[str, ...]:
    """Paths of the v4l2loopback devices."""
    return tuple(path for path in v4l2.device_paths() if v4l2.is_loopback(path))


def none_there() -> SinkError:
    """What to say when the machine has no v4l2loopback device: the commands that make one."""
    return SinkError(
        "virtual_camera: this machine has no virtual camera (no v4l2loopback device)", how_to_make_one()
    )


def how_to_make_one() -> str:
    import shutil
    from pathlib import Path

    kernel = os.uname().release
    listed = Path("/lib/modules", kernel, "modules.dep")
    try:
        installed = "v4l2loopback.ko" in listed.read_text()
    except OSError:
        installed = False
    if installed:
        return _LOAD
    for tool, command in _INSTALL:
        if shutil.which(tool):
            return f"{command} && {_LOAD}"
    return f"install v4l2loopback, then: {_LOAD}"


def choose(device: str) -> str:
    """The path of the loopback that `device` means: "auto", a path or a label. Never a real camera.

    auto: the first one that is free to be written to, one labelled like this program before others.
    Raises SinkError.
    """
    there = loopbacks()
    if not there and not device.startswith("/"):
        raise none_there()
    labels = ", ".join(f"{v4l2.sysfs_name(path)} ({path})" for path in there) or "none"
    if device.startswith("/"):
        path = os.path.realpath(device)
        if not os.path.exists(path):
            raise SinkError(
                f"virtual_camera: there is no device {device}; virtual cameras: {labels}", _made(path)
            )
        if path not in there:
            what = v4l2.sysfs_name(path) or "not a video device"
            raise SinkError(
                f"virtual_camera: {device} ({what}) is not a virtual camera; virtual cameras: {labels}",
                "use `device: auto`, or the path of a v4l2loopback device",
            )
        return path
    if device != "auto":
        wanted = device.lower()
        named = [p for p in there if v4l2.sysfs_name(p).lower() == wanted]
        named += [p for p in there if wanted in v4l2.sysfs_name(p).lower()]
        if not named:
            raise SinkError(
                f"virtual_camera: no virtual camera is labelled {device!r}; there are: {labels}", "use one"
            )
        return named[0]
    ours_first = sorted(there, key=lambda path: LABEL.lower() not in v4l2.sysfs_name(path).lower())
    free = [path for path in ours_first if _fault(path) is None]
    return (free or ours_first)[0]


def _made(path: str) -> str:
    number = re.fullmatch(r"/dev/video(\d+)", path)
    return how_to_make_one().replace("video_nr=10", f"video_nr={number[1]}") if number else how_to_make_one()


def _fault(path: str) -> SinkError | None:
    """Why `path` (a loopback) cannot be written to now."""
    name = f"virtual_camera: {path} ({v4l2.sysfs_name(path)})"
    try:
        with v4l2.opened(path) as fd:
            if v4l2.capability(fd).caps & v4l2.VIDEO_OUTPUT:
                return None
    except PermissionError:
        return SinkError(
            f"{name} may not be opened by this user", 'sudo usermod -aG video "$USER", then log in again'
        )
    except OSError as error:
        return SinkError(f"{name} cannot be opened: {os.strerror(error.errno or 0)}", _RELOAD)
    if users := v4l2.holders(path):
        who = ", ".join(str(user) for user in users)
        # OBS takes the first device for its own virtual camera.
        obs = (
            "in OBS: Stop Virtual Camera"
            if any(user.name == "obs" for user in users)
            else "stop that program"
        )
        return SinkError(
            f"{name} is already written to by another program; it is open in {who}",
            f"{obs}, or make a second device and name it in `device`",
        )
    if v4l2.loopback_reports_state(path):
        return SinkError(
            f"{name} keeps a fixed format and takes no new writer (its control keep_format is on)",
            f"v4l2-ctl -d {path} -c keep_format=0",
        )
    return SinkError(
        f"{name} takes no more pictures: an earlier program has used it up (v4l2loopback before 0.13)",
        _RELOAD,
    )


class LoopbackWriter:
    """An open v4l2loopback device of exactly this format. The names of its methods are pyvirtualcam's.

    Raises SinkError when it cannot be had, and from `send` when a frame was not taken.
    """

    def __init__(self, path: str, size: Size, fps: float) -> None:
        if fault := _fault(path):
            raise fault
        self._path = path
        self._nbytes = size.width * size.height * 3 // 2
        self._fd = self._hold = -1
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            self._negotiate(size, fps)
            if not v4l2.loopback_reports_state(path):
                self._hold = v4l2.hold_output(path)
        except OSError as error:
            self.close()
            raise _fault(path) or SinkError(
                f"virtual_camera: {path} cannot be written to: {os.strerror(error.errno or 0)}", _RELOAD
            ) from error
        except SinkError:
            self.close()
            raise

    def _negotiate(self, size: Size, fps: float) -> None:
        try:
            got = v4l2.set_output_format(self._fd, size, FOURCC)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            got = v4l2.format_of(self._fd, v4l2.OUTPUT_BUFFER)
        # before 0.15 sizeimage is in whole pages
        if (got.fourcc, got.size) != (FOURCC, size) or got.sizeimage < self._nbytes:
            raise SinkError(
                f"virtual_camera: {self._path} keeps the format {got.fourcc} {got.size}; pictures are I420 {size}",
                f"set output.size to {got.size}, close the programs that show this camera, "
                f"or free its format: v4l2-ctl -d {self._path} -c keep_format=0; or {_RELOAD}",
            )
        # a hint to readers; some versions have no place for it
        with contextlib.suppress(OSError):
            v4l2.set_output_rate(self._fd, fps)

    def send(self, frame: Image) -> None:
        """`frame`: I420, C-contiguous uint8, any shape."""
        try:
            taken = os.write(self._fd, frame.data)
        except OSError as error:
            raise SinkError(
                f"virtual_camera: {self._path} refused a picture: {os.strerror(error.errno or 0)}",
                "if it goes on: " + _RELOAD,
            ) from error
        if taken != self._nbytes:
            raise SinkError(
                f"virtual_camera: {self._path} took {taken} of {self._nbytes} bytes: its format was changed",
                "stop the other program that uses this device",
            )

    def close(self) -> None:
        """May be called twice. The second descriptor goes last (see `v4l2.hold_output`)."""
        for name in ("_fd", "_hold"):
            fd = getattr(self, name)
            setattr(self, name, -1)
            if fd >= 0:
                os.close(fd)

    def device(self) -> str:
        return self._path

    def native_fourcc(self) -> int:
        return int.from_bytes(b"I420", "little")


class PyvirtualcamBackend:
    """Hands pyvirtualcam a writer that is already open, so that its errors keep their type."""

    def __init__(self, *, writer: LoopbackWriter, **_: Any) -> None:
        self._writer = writer
        self.send = writer.send
        self.close = writer.close
        self.device = writer.device
        self.native_fourcc = writer.native_fourcc
