"""What Linux says about its video devices: ioctls, sysfs and who has a device open.

Reads facts and changes nothing, except `hold_output`. Linux only; importable everywhere (the platform's
modules are imported inside functions). Numbers and layouts are those of the kernel's `videodev2.h`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final, NamedTuple

from pipeline.frame import Size

VIDEO_CAPTURE: Final = 0x1  # device_caps
VIDEO_OUTPUT: Final = 0x2
CAPTURE_BUFFER: Final = 1  # enum v4l2_buf_type
OUTPUT_BUFFER: Final = 2
FIELD_NONE: Final = 1
LOOPBACK_DRIVER: Final = "v4l2 loopback"

SYSFS: Final = Path("/sys/class/video4linux")

_POINTER: Final = struct.calcsize("P")
_FORMAT: Final = struct.Struct("I4x12I152x" if _POINTER == 8 else "I12I152x")
_CAPABILITY: Final = struct.Struct("16s32s32s6I")
_FORMAT_DESCRIPTION: Final = struct.Struct("3I32s5I")
_FRAME_SIZE: Final = struct.Struct("11I")
_FRAME_INTERVAL: Final = struct.Struct("13I")
_STREAM_PARAMETERS: Final = struct.Struct("51I")
_BUFFER_REQUEST: Final = struct.Struct("5I")


def _code(direction: int, number: int, size: int) -> int:
    """_IOR (2), _IOW (1) and _IOWR (3) of the 'V' family."""
    return direction << 30 | size << 16 | ord("V") << 8 | number


_QUERYCAP: Final = _code(2, 0, _CAPABILITY.size)
_ENUM_FMT: Final = _code(3, 2, _FORMAT_DESCRIPTION.size)
_G_FMT: Final = _code(3, 4, _FORMAT.size)
_S_FMT: Final = _code(3, 5, _FORMAT.size)
_REQBUFS: Final = _code(3, 8, _BUFFER_REQUEST.size)
_EVENT: Final = struct.Struct("I4x64s2I16s9I4x" if _POINTER == 8 else "I4x64s2I8s9I")
_SUBSCRIPTION: Final = struct.Struct("8I")
_STREAMON: Final = _code(1, 18, 4)
_G_PARM: Final = _code(3, 21, _STREAM_PARAMETERS.size)
_S_PARM: Final = _code(3, 22, _STREAM_PARAMETERS.size)
_DQEVENT: Final = _code(2, 89, _EVENT.size)
_SUBSCRIBE_EVENT: Final = _code(1, 90, _SUBSCRIPTION.size)
_CLIENT_USAGE: Final = 0x10E00001  # v4l2loopback's V4L2_EVENT_PRI_CLIENT_USAGE
_SEND_INITIAL: Final = 1
_ENUM_FRAMESIZES: Final = _code(3, 74, _FRAME_SIZE.size)
_ENUM_FRAMEINTERVALS: Final = _code(3, 75, _FRAME_INTERVAL.size)


class Capability(NamedTuple):
    """caps: of this device node (`device_caps`)."""

    driver: str
    card: str
    bus: str
    caps: int


class PixelFormat(NamedTuple):
    """fourcc: as in "I420" written YU12 by V4L2. sizeimage: bytes a frame."""

    fourcc: str
    size: Size
    sizeimage: int


class Mode(NamedTuple):
    """Something a camera offers. fps: its highest rate at that size, 0 when it does not say."""

    fourcc: str
    size: Size
    fps: float


class Holder(NamedTuple):
    """A process that has a device open."""

    pid: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})"


@contextlib.contextmanager
def opened(path: str | Path) -> Iterator[int]:
    """A descriptor for questions; opening it neither starts nor claims the device. Raises OSError."""
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def capability(fd: int) -> Capability:
    """VIDIOC_QUERYCAP. Raises OSError (ENOTTY: not a video device)."""
    driver, card, bus, _, caps, device_caps, *_ = _ioctl(fd, _QUERYCAP, _CAPABILITY)
    return Capability(_text(driver), _text(card), _text(bus), int(device_caps or caps))


def format_of(fd: int, buffer: int) -> PixelFormat:
    """VIDIOC_G_FMT: the format in use on the capture or output side. Raises OSError."""
    return _pixel_format(_ioctl(fd, _G_FMT, _FORMAT, buffer, *[0] * 12))


def set_output_format(fd: int, size: Size, fourcc: str) -> PixelFormat:
    """VIDIOC_S_FMT on the output side; returns what the driver made of it, which may be something else."""
    colorspace_srgb = 8
    fields = (*size, _number(fourcc), FIELD_NONE, size.width, 0, colorspace_srgb)
    return _pixel_format(_ioctl(fd, _S_FMT, _FORMAT, OUTPUT_BUFFER, *fields, *[0] * 5))


def rate_of(fd: int) -> float:
    """VIDIOC_G_PARM: the camera's rate in frames a second, 0 when it does not say."""
    try:
        values = _ioctl(fd, _G_PARM, _STREAM_PARAMETERS, CAPTURE_BUFFER, *[0] * 50)
    except OSError:
        return 0.0
    numerator, denominator = int(values[3]), int(values[4])
    return denominator / numerator if numerator else 0.0


def set_output_rate(fd: int, fps: float) -> None:
    """VIDIOC_S_PARM on the output side: the rate that readers are told. Raises OSError."""
    rate = Fraction(fps).limit_denominator(1001)  # 30000/1001 is a usual rate
    interval = (rate.denominator, rate.numerator)
    _ioctl(fd, _S_PARM, _STREAM_PARAMETERS, OUTPUT_BUFFER, 0, 0, *interval, *[0] * 46)


def formats(fd: int) -> tuple[str, ...]:
    """FourCC of every format the camera lists, in its own order."""
    return tuple(_formats(fd))


def modes(fd: int, formats: tuple[str, ...]) -> tuple[Mode, ...]:
    """Every size the camera lists in `formats`, with its highest rate there. Size ranges give their two
    ends."""
    return tuple(
        Mode(fourcc, size, _highest_rate(fd, fourcc, size))
        for fourcc in formats
        for size in _sizes(fd, fourcc)
    )


def is_streaming_elsewhere(fd: int) -> bool:
    """Whether another process owns the capture queue (a camera serves one at a time)."""
    try:
        _ioctl(fd, _REQBUFS, _BUFFER_REQUEST, 0, CAPTURE_BUFFER, 1, 0, 0)
    except OSError as error:
        return error.errno == errno.EBUSY
    return False


def hold_output(path: str) -> int:
    """A second descriptor that keeps a v4l2loopback < 0.13 with exclusive_caps usable after its writer is
    gone.

    Such a device offers itself as an output only until the first writer has closed it; an open descriptor
    on which OUTPUT was started keeps it so, and the kernel closes it with the process, however that ends.
    Close it last. Raises OSError (EINVAL from 0.13 on, which need nothing).
    """
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _ioctl(fd, _STREAMON, struct.Struct("I"), OUTPUT_BUFFER)
    except OSError:
        os.close(fd)
        raise
    return fd


def subscribe_client_usage(fd: int) -> bool:
    """Ask a v4l2loopback device to say when somebody begins and ends to stream from it. False before 0.13."""
    try:
        _ioctl(fd, _SUBSCRIBE_EVENT, _SUBSCRIPTION, _CLIENT_USAGE, 0, _SEND_INITIAL, *[0] * 5)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOTTY):
            return False
        raise
    return True


def client_usage(fd: int) -> int | None:
    """The next thing it said: how many stream now; None when there is nothing new. `fd`: non-blocking."""
    try:
        kind, data, *_ = _ioctl(fd, _DQEVENT, _EVENT)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EAGAIN):
            return None
        raise
    assert isinstance(data, bytes)
    return int.from_bytes(data[:4], "little") if kind == _CLIENT_USAGE else 0


# ---------------------------------------------------------------- sysfs, /proc, inotify

IN_OPEN: Final = 0x20
IN_CLOSE: Final = 0x08 | 0x10  # of a file open for writing, and of one that was not
_NOTIFICATION: Final = struct.Struct("iIII")


def opened_less_closed(notifications: bytes) -> int:
    """What inotify said of one file: times opened less times closed."""
    count = at = 0
    while at < len(notifications):
        _, mask, _, length = _NOTIFICATION.unpack_from(notifications, at)
        count += bool(mask & IN_OPEN) - bool(mask & IN_CLOSE)
        at += _NOTIFICATION.size + length
    return count


def streaming_holders(path: str) -> tuple[int, int, bool]:
    """Other processes that have the device's buffers mapped; that have it open at all; whether every process could be
    looked into. 3–16 ms."""
    try:
        device = os.stat(path).st_rdev
    except OSError:
        return 0, 0, True
    mapped = holding = 0
    all_seen = True
    for pid in (entry for entry in os.listdir("/proc") if entry.isdigit() and int(entry) != os.getpid()):
        try:
            os.listdir(f"/proc/{pid}/fd")
        except PermissionError:
            all_seen = False
            continue
        except OSError:
            continue
        if _has_open(pid, device):
            holding += 1
            mapped += _has_mapped(pid, os.path.realpath(path))
    return mapped, holding, all_seen


def _has_mapped(pid: str, path: str) -> bool:
    try:
        with open(f"/proc/{pid}/maps") as maps:
            return any(line.rstrip().endswith(path) for line in maps)
    except OSError:
        return True  # it has the device open, and what it does with it is not for us to see


def device_paths() -> tuple[str, ...]:
    """/dev/videoN of every video device, by number."""
    if not SYSFS.is_dir():
        return ()
    numbers = sorted(int(entry.name[5:]) for entry in SYSFS.iterdir() if entry.name[5:].isdigit())
    return tuple(f"/dev/video{number}" for number in numbers if Path(f"/dev/video{number}").exists())


def stable_path(path: str) -> str:
    """The /dev/v4l/by-id or by-path link to `path`, which outlives a replug; "" when udev made none."""
    for folder in ("/dev/v4l/by-id", "/dev/v4l/by-path"):
        if os.path.isdir(folder):
            for name in sorted(os.listdir(folder)):
                link = os.path.join(folder, name)
                if os.path.realpath(link) == os.path.realpath(path):
                    return link
    return ""


def is_loopback(path: str) -> bool:
    """Whether v4l2loopback made this device, asked of sysfs: it answers without opening the device."""
    entry = SYSFS / Path(os.path.realpath(path)).name
    # v4l2loopback's own attribute, in every version; its devices hang below /devices/virtual as others' do
    # too
    return (entry / "max_openers").exists() or (entry / "buffers").exists()


def loopback_reports_state(path: str) -> bool:
    """True from v4l2loopback 0.13 on, whose sysfs has `state`; such a device needs no `hold_output`."""
    return (SYSFS / Path(os.path.realpath(path)).name / "state").exists()


def sysfs_name(path: str) -> str:
    """The device's name (v4l2loopback: its card_label) without opening it."""
    try:
        return (SYSFS / Path(os.path.realpath(path)).name / "name").read_text().strip()
    except OSError:
        return ""


def holders(path: str) -> tuple[Holder, ...]:
    """Processes that have `path` open, ours left out. Sees other users' processes only as root. 3–16 ms."""
    try:
        device = os.stat(path).st_rdev
    except OSError:
        return ()
    others = [entry for entry in os.listdir("/proc") if entry.isdigit() and int(entry) != os.getpid()]
    return tuple(Holder(int(pid), _process_name(pid)) for pid in others if _has_open(pid, device))


def _has_open(pid: str, device: int) -> bool:
    folder = f"/proc/{pid}/fd"
    try:
        for fd in os.listdir(folder):
            with contextlib.suppress(OSError):
                if os.stat(f"{folder}/{fd}").st_rdev == device:
                    return True
    except OSError:  # ended meanwhile, or another user's
        return False
    return False


def _process_name(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "?"


# ---------------------------------------------------------------- ioctl details


def _ioctl(fd: int, request: int, layout: struct.Struct, *values: int | bytes) -> tuple[int | bytes, ...]:
    import fcntl

    data = bytearray(layout.pack(*values) if values else layout.size)
    fcntl.ioctl(fd, request, data)
    return layout.unpack(data)


def _pixel_format(values: tuple[int | bytes, ...]) -> PixelFormat:
    width, height, fourcc, _, _, sizeimage = (int(v) for v in values[1:7])
    return PixelFormat(_fourcc(fourcc), Size(width, height), sizeimage)


def _formats(fd: int) -> Iterator[str]:
    for index in range(64):
        try:
            values = _ioctl(fd, _ENUM_FMT, _FORMAT_DESCRIPTION, index, CAPTURE_BUFFER, 0, b"", *[0] * 5)
        except OSError:
            return
        yield _fourcc(int(values[4]))


def _sizes(fd: int, fourcc: str) -> Iterator[Size]:
    for index in range(256):
        try:
            values = _ioctl(fd, _ENUM_FRAMESIZES, _FRAME_SIZE, index, _number(fourcc), *[0] * 9)
        except OSError:
            return
        kind, *numbers = (int(v) for v in values[2:9])
        if kind != 1:  # a range: min_width, max_width, step_width, min_height, max_height, step_height
            yield Size(numbers[0], numbers[3])
            yield Size(numbers[1], numbers[4])
            return
        yield Size(numbers[0], numbers[1])


def _highest_rate(fd: int, fourcc: str, size: Size) -> float:
    best = 0.0
    for index in range(256):
        try:
            values = _ioctl(
                fd, _ENUM_FRAMEINTERVALS, _FRAME_INTERVAL, index, _number(fourcc), *size, *[0] * 9
            )
        except OSError:
            return best
        kind, numerator, denominator = (int(v) for v in values[4:7])
        if numerator:
            best = max(best, denominator / numerator)
        if kind != 1:  # a range begins with its shortest interval
            return best
    return best


def _fourcc(number: int) -> str:
    return "".join(chr(number >> shift & 0xFF) for shift in (0, 8, 16, 24)).strip("\0 ")


def _number(fourcc: str) -> int:
    return int.from_bytes(fourcc.ljust(4).encode("latin-1"), "little")


def _text(field: int | bytes) -> str:
    assert isinstance(field, bytes)
    return field.split(b"\0")[0].decode("utf-8", "replace")
