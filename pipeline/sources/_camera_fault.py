"""Why a camera does not open or deliver: OpenCV only says that it does not."""

from __future__ import annotations

import errno
import os
import sys

from pipeline import v4l2
from pipeline.errors import SourceError


def why_closed(name: str, path: str) -> SourceError:
    """The reason why the camera at `path` cannot be opened, asked of the device itself."""
    if sys.platform != "linux":
        return SourceError(
            f"webcam: {name} cannot be opened",
            "close other programs that use it, and allow cameras for this program in the privacy settings",
        )
    return _asked(name, path) or SourceError(
        f"webcam: {name} ({path}) cannot be opened by OpenCV, though the device answers",
        "try another width, height or format",
    )


def known_fault(name: str, path: str) -> SourceError | None:
    """The same, before anything is opened; None when the camera looks usable. Linux only, elsewhere None."""
    return _asked(name, path) if sys.platform == "linux" else None


def is_gone(path: str) -> bool:
    """Whether the device has been unplugged: its node is away, or does not answer. Linux only, elsewhere False."""
    if sys.platform != "linux":
        return False
    try:
        with v4l2.opened(path) as fd:
            return not v4l2.capability(fd).caps & v4l2.VIDEO_CAPTURE
    except OSError as error:
        return error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.EIO)


def _asked(name: str, path: str) -> SourceError | None:
    what = f"webcam: {name} ({path})"
    try:
        with v4l2.opened(path) as fd:
            return _answered(what, path, fd)
    except FileNotFoundError:
        return SourceError(f"{what} is not there", "plug it in; `phosphene devices` lists the cameras")
    except PermissionError:
        return SourceError(
            f"{what} may not be opened by this user", 'sudo usermod -aG video "$USER", then log in again'
        )
    except OSError as error:
        if error.errno == errno.EBUSY:
            return _busy(what, path)
        if error.errno in (errno.ENODEV, errno.ENXIO):
            return SourceError(f"{what} has been unplugged", "plug it in again")
        if error.errno == errno.ENOTTY:
            return SourceError(f"{what} is not a video device", "`phosphene devices` lists the cameras")
        return SourceError(
            f"{what} cannot be opened: {os.strerror(error.errno or 0)}", "unplug it and plug it in again"
        )


def _answered(what: str, path: str, fd: int) -> SourceError | None:
    device = v4l2.capability(fd)
    loopback = device.driver == v4l2.LOOPBACK_DRIVER
    unfed = SourceError(
        f"{what} is a v4l2loopback to which no program writes",
        "start the program that feeds it, or use another camera",
    )
    if not device.caps & v4l2.VIDEO_CAPTURE:
        return (
            unfed
            if loopback
            else SourceError(f"{what} is not a camera", "`phosphene devices` lists the cameras")
        )
    if loopback:
        try:
            v4l2.format_of(fd, v4l2.CAPTURE_BUFFER)
        except OSError:
            return unfed
    if v4l2.is_streaming_elsewhere(fd):
        return _busy(what, path)
    return None


def _busy(what: str, path: str) -> SourceError:
    who = ", ".join(str(holder) for holder in v4l2.holders(path)) or "another program"
    return SourceError(f"{what} is in use by {who}", "close it there; a camera serves one program at a time")
