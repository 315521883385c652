"""The cameras of this machine, and how to find one again."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from typing import Final

from pipeline import v4l2
from pipeline.errors import SourceError

VIRTUAL: Final = re.compile(
    r"virtual|loopback|dummy|\bOBS\b|phosphene|snap camera|manycam|droidcam", re.IGNORECASE
)
"""Names of cameras that other programs make. `source: auto` never takes one: it could be our own output."""


@dataclass(frozen=True, slots=True)
class Camera:
    """One camera.

    path: what opens it now ("/dev/video0"; elsewhere its index). identity: what finds the same one after
    a replug, when its path may be another. problem: why it cannot be asked for more ("" when it can).
    """

    name: str
    path: str
    identity: str
    driver: str
    is_virtual: bool
    problem: str = ""


def list_cameras() -> tuple[Camera, ...]:
    """Every camera, virtual ones too, in the system's order. Starts none of them.

    Raises SourceError where the system cannot list its cameras.
    """
    if sys.platform != "linux":
        return _enumerated()
    found = (_linux_camera(path) for path in v4l2.device_paths())
    return tuple(camera for camera in found if camera is not None)


def find_camera(wanted: str) -> Camera:
    """By index, path, identity or name (whole, else part of it, in any case), in this order.

    Raises SourceError naming the cameras there are.
    """
    cameras = list_cameras()
    by_path = f"/dev/video{wanted}" if sys.platform == "linux" and wanted.isdigit() else wanted
    tests = (
        lambda c: c.path == by_path or (by_path.startswith("/") and c.path == os.path.realpath(by_path)),
        lambda c: c.identity == wanted,
        lambda c: c.name.lower() == wanted.lower(),
        lambda c: wanted.lower() in c.name.lower(),
    )
    for test in tests:
        if found := [camera for camera in cameras if test(camera)]:
            return found[0]
    raise no_camera(wanted, cameras)


def no_camera(wanted: str, cameras: tuple[Camera, ...]) -> SourceError:
    there = ", ".join(f"{camera.name} ({camera.path})" for camera in cameras)
    if not there:
        return SourceError(
            f"webcam: there is no camera {wanted}, and no other", "plug one in, or use `source: demo`"
        )
    return SourceError(
        f"webcam: there is no camera {wanted}; there is {there}", "plug it in, or choose one of these"
    )


def _linux_camera(path: str) -> Camera | None:
    """None for what is not a camera: an output, a metadata node, a loopback without writer."""
    name = v4l2.sysfs_name(path)
    loopback = v4l2.is_loopback(path)
    try:
        with v4l2.opened(path) as fd:
            device = v4l2.capability(fd)
    except OSError as error:
        virtual = loopback or bool(VIRTUAL.search(name))
        return Camera(
            name or path, path, v4l2.stable_path(path) or path, "", virtual, error.strerror or str(error)
        )
    if not device.caps & v4l2.VIDEO_CAPTURE:
        return None
    name = device.card or name
    identity = v4l2.stable_path(path) or f"{device.bus}/{device.card}"
    virtual = loopback or device.driver == v4l2.LOOPBACK_DRIVER or bool(VIRTUAL.search(name))
    return Camera(name, path, identity, device.driver, virtual)


def _enumerated() -> tuple[Camera, ...]:
    """Windows and macOS. Untested."""
    try:
        from cv2_enumerate_cameras import enumerate_cameras
    except ImportError as error:
        raise SourceError(
            f"webcam: the cameras of this system cannot be listed ({error})",
            "pip install cv2_enumerate_cameras",
        ) from error
    import cv2

    api = cv2.CAP_MSMF if sys.platform == "win32" else cv2.CAP_AVFOUNDATION
    return tuple(
        Camera(c.name, str(c.index - api), c.path or c.name, "", bool(VIRTUAL.search(c.name)))
        for c in enumerate_cameras(api)
    )
