"""A real camera, through OpenCV."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections import deque
from statistics import median
from typing import Any, Final, Literal

from pipeline import v4l2
from pipeline.cameras import Camera, find_camera
from pipeline.errors import SourceError
from pipeline.frame import Image, Size, new_image, now_ns
from pipeline.options import setting
from pipeline.source import Picture, SourceInfo
from pipeline.sources._camera_fault import is_gone, known_fault, why_closed
from pipeline.sources._camera_mode import DECODED, closest
from pipeline.sources._options import PictureOptions
from pipeline.v4l2 import Mode

ARGUMENT: Final = "device"
_NS: Final = 1_000_000_000
_SPOILT: Final = (
    10  # pictures in a row that may fail to decode; cameras often send a broken JPEG or two at first
)
_STALLED_NS: Final = 5 * _NS  # OpenCV gives a silent camera 10 s
_OLDEST_NS: Final = _NS  # a driver's timestamp older than this is from another clock


class Options(PictureOptions):
    device: str = setting(
        "0",
        "camera: index, path (/dev/v4l/by-id/… is the same one for ever) or name",
        applies="prepare",
        min_length=1,
    )
    fallback: tuple[str, ...] = setting(
        (),
        "cameras to use, in this order, while that one cannot be opened; the first that opens stays until it fails",
        applies="prepare",
        max_length=8,
    )
    width: int = setting(
        1280, "wanted width, pixels; the closest is taken", applies="prepare", ge=16, le=7680
    )
    height: int = setting(
        720, "wanted height, pixels; the closest is taken", applies="prepare", ge=16, le=4320
    )
    fps: float = setting(
        30.0, "wanted rate, pictures a second; the closest is taken", applies="prepare", gt=0, le=240
    )
    format: str = setting(
        "auto",
        "FourCC such as MJPG or YUYV; auto: MJPG where the camera has it",
        applies="prepare",
        pattern="^(auto|.{3,4})$",
    )
    prefer: Literal["rate", "size"] = setting(
        "rate", "which wish comes first where the camera cannot have both", applies="prepare"
    )


def available() -> str | None:
    return None


def create(options: Options) -> Webcam:
    """The camera, else the first of `fallback` that opens. Raises SourceError saying which it is: missing, in use,
    not permitted, a loopback without writer; of each, where several were tried."""
    errors: list[SourceError] = []
    for device in (options.device, *options.fallback):
        try:
            return Webcam(options, _find(device))
        except SourceError as error:  # noqa: PERF203 of at most nine
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    said = "; ".join(error.message.removeprefix("webcam: ") for error in errors)
    raise SourceError(f"webcam: no camera of the list can be opened: {said}", errors[0].mend)


def devices(options: Options) -> int:
    """That `create` may try to open."""
    return 1 + len(options.fallback)


def _find(device: str) -> Camera:
    try:
        return find_camera(device)
    except SourceError:
        path = f"/dev/video{device}" if device.isdigit() else device
        # a device that is there and is no camera: say what it is
        if os.path.exists(path) and (fault := known_fault(v4l2.sysfs_name(path) or device, path)):
            raise fault from None
        raise


def again(options: Options, info: SourceInfo) -> Options:
    """Options that find the camera of `info` after a replug, even under another path, and none that the user has not
    named: the entry of the list by which it was found becomes its identity."""

    def pinned(device: str) -> str:
        try:
            return info.identity if _find(device).identity == info.identity else device
        except SourceError:
            return device

    if not options.fallback:
        return options.model_copy(update={"device": info.identity})
    fallback = tuple(pinned(device) for device in options.fallback)
    return options.model_copy(update={"device": pinned(options.device), "fallback": fallback})


class Webcam:
    """`Picture.image` is valid until the next `read`: one buffer is used again and again.

    `read` blocks while the camera is silent (OpenCV gives up after 10 s). A closed `Webcam` never comes
    back: after a SourceError, close it and create another with `again(options, info)`.
    """

    def __init__(self, options: Options, camera: Camera) -> None:
        if fault := known_fault(camera.name, camera.path):
            raise fault
        self._camera = camera
        self._capture, negotiated = _open(options, camera)
        asked = f"{options.width}x{options.height} at {options.fps:g} fps"
        got = f"{negotiated.fourcc} {negotiated.size} at {negotiated.fps:g} fps"
        short = "" if f"{negotiated.size} at {negotiated.fps:g} fps" == asked else f", asked for {asked}"
        self._info = SourceInfo(
            "webcam",
            camera.name,
            camera.identity,
            negotiated.size,
            negotiated.fps,
            negotiated.fourcc,
            f"{camera.name} ({camera.path}): {got}{short}",
        )
        self._bgr: Image | None = None
        self._rgb: Image = new_image(negotiated.size)
        self._intervals: deque[int] = deque(maxlen=60)
        self._last = 0
        self._measured = 0.0

    @property
    def info(self) -> SourceInfo:
        """`fps` is the measured rate once 30 pictures have come."""
        if not self._measured:
            return self._info
        detail = f"{self._info.detail}; measured {self._measured:.1f} fps"
        return dataclasses.replace(self._info, fps=round(self._measured, 2), detail=detail)

    def read(self) -> Picture | None:
        import cv2

        for _ in range(_SPOILT):
            asked = now_ns()
            good, bgr = self._capture.read(self._bgr)
            now = now_ns()
            if good:
                break
            if is_gone(self._camera.path):
                raise SourceError(f"webcam: {self._info.name} has been unplugged", "plug it in again")
            if now - asked > _STALLED_NS:
                raise SourceError(
                    f"webcam: {self._info.name} has sent no picture for {(now - asked) / _NS:.0f} s",
                    "unplug it and plug it in again",
                )
        else:
            raise why_closed(self._info.name, self._camera.path)
        self._bgr = bgr
        if self._rgb.shape != bgr.shape:
            size = Size(bgr.shape[1], bgr.shape[0])
            self._rgb = new_image(size)
            self._info = dataclasses.replace(self._info, size=size)
        cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, self._rgb)
        taken = self._taken(now)
        self._measure(taken)
        return Picture(self._rgb, taken)

    def close(self) -> None:
        self._capture.release()

    def _taken(self, now: int) -> int:
        """When the driver took the picture; V4L2 stamps it with the clock of `now_ns`. Else now."""
        import cv2

        if sys.platform != "linux":
            return now
        stamp = round(self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
        return stamp if 0 <= now - stamp <= _OLDEST_NS and stamp > self._last else now

    def _measure(self, taken: int) -> None:
        if self._last:
            self._intervals.append(taken - self._last)
        self._last = taken
        if len(self._intervals) >= 30:
            self._measured = _NS / median(self._intervals)


def _open(options: Options, camera: Camera) -> tuple[Any, Mode]:
    """OpenCV's capture and what it was given, read back: `set` returns True for what the camera cannot do."""
    import cv2

    wanted = Mode(options.format, Size(options.width, options.height), options.fps)
    if sys.platform != "linux":
        capture = cv2.VideoCapture(int(camera.path) if camera.path.isdigit() else camera.path)
        _ask(capture, wanted._replace(fourcc="MJPG" if options.format == "auto" else options.format))
        size = Size(int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)))
        number = int(capture.get(cv2.CAP_PROP_FOURCC))
        got = Mode(
            number.to_bytes(4, "little", signed=True).decode("latin-1"), size, capture.get(cv2.CAP_PROP_FPS)
        )
    else:
        with v4l2.opened(camera.path) as fd:
            mode = _choose(fd, wanted, options, camera)
        capture = cv2.VideoCapture(camera.path, cv2.CAP_V4L2)
        if not capture.isOpened():
            capture.release()
            raise why_closed(camera.name, camera.path)
        _ask(capture, mode or wanted)
        with v4l2.opened(camera.path) as fd:
            used = v4l2.format_of(fd, v4l2.CAPTURE_BUFFER)
            got = Mode(used.fourcc, used.size, v4l2.rate_of(fd))
    if not capture.isOpened():
        capture.release()
        raise why_closed(camera.name, camera.path)
    return capture, got


def _choose(fd: int, wanted: Mode, options: Options, camera: Camera) -> Mode | None:
    offered = v4l2.formats(fd)
    formats = tuple(f for f in offered if f in DECODED) if options.format == "auto" else (options.format,)
    if options.format != "auto" and options.format not in offered:
        raise SourceError(
            f"webcam: {camera.name} ({camera.path}) has no format {options.format}; it has {', '.join(offered)}",
            "choose one of these, or `format: auto`",
        )
    return closest(v4l2.modes(fd, formats), wanted, options.prefer)


def _ask(capture: Any, mode: Mode) -> None:
    import cv2

    if mode.fourcc != "auto":
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*mode.fourcc.ljust(4)))
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, mode.size.width)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, mode.size.height)
    if mode.fps:
        capture.set(cv2.CAP_PROP_FPS, mode.fps)
