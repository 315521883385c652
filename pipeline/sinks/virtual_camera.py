"""A camera that call programs and OBS can open: v4l2loopback on Linux, OBS's camera on Windows and macOS."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from pipeline.errors import SinkError
from pipeline.frame import Frame
from pipeline.options import Options as BaseOptions
from pipeline.options import setting
from pipeline.sink import OutputFormat
from pipeline.sinks._i420 import I420

if TYPE_CHECKING:
    from pipeline.sinks._loopback_readers import Readers

ARGUMENT: Final = "device"


class Options(BaseOptions):
    device: str = setting(
        "auto", "auto, /dev/videoN or the label of a virtual camera (Linux)", applies="prepare", min_length=1
    )


def available() -> str | None:
    """Answers without opening a device and without importing pyvirtualcam."""
    if sys.platform != "linux":
        return None  # only opening OBS's camera tells
    from pipeline.sinks._loopback import loopbacks, none_there

    if loopbacks():
        return None
    error = none_there()
    return f"{error.message}: {error.mend}"


def create(options: Options, output: OutputFormat) -> VirtualCamera | ObsCamera:
    """Raises SinkError saying which it is: none there, in use, no permission, not a virtual camera, fixed
    format."""
    if sys.platform != "linux":
        return ObsCamera(output)
    return VirtualCamera(options, output)


class VirtualCamera:
    """A v4l2loopback device, through pyvirtualcam. Never a real camera; never closed while idle.

    `send` raises SinkError for a frame that the device did not take.
    """

    wanted = True

    def __init__(self, options: Options, output: OutputFormat) -> None:
        from pipeline.sinks._loopback import LoopbackWriter, choose

        self._i420 = I420(output.size)
        path = choose(options.device)
        writer = LoopbackWriter(path, output.size, output.fps)
        try:
            self._camera, through = _through_pyvirtualcam(writer, output)
        except BaseException:
            writer.close()
            raise
        self.detail = f"{path}, I420 {output.size} at {output.fps:g} fps{through}"
        self.written = 0
        self._path = path
        self._readers: Readers | None = None

    @property
    def watched(self) -> bool:
        """Whether anybody streams from the device. The first call begins to watch it, and is True."""
        if self._readers is None:
            from pipeline.sinks._loopback_readers import Readers

            try:
                self._readers = Readers(self._path)
            except OSError:
                return True  # it cannot be asked: somebody may be looking
            return True
        return self._readers.streaming

    def send(self, frame: Frame) -> None:
        self._camera.send(self._i420(frame.image).reshape(-1))
        self.written += 1

    def close(self) -> None:
        if self._readers is not None:
            self._readers.close()
        self._camera.close()


def _through_pyvirtualcam(writer: Any, output: OutputFormat) -> tuple[Any, str]:
    try:
        import pyvirtualcam
    except ImportError:
        # no wheel of pyvirtualcam for this processor; on Linux the writer needs nothing of it
        return writer, ", without pyvirtualcam"
    from pipeline.sinks._loopback import PyvirtualcamBackend

    pyvirtualcam.register_backend("phosphene", PyvirtualcamBackend)
    camera = pyvirtualcam.Camera(
        *output.size, output.fps, fmt=pyvirtualcam.PixelFormat.I420, backend="phosphene", writer=writer
    )
    return camera, ""


class ObsCamera:
    """OBS's virtual camera on Windows and macOS. Untested."""

    wanted = True

    def __init__(self, output: OutputFormat) -> None:
        import pyvirtualcam

        from pipeline.sinks._obs_camera import camera_fault

        try:
            self._camera = pyvirtualcam.Camera(
                *output.size, output.fps, fmt=pyvirtualcam.PixelFormat.RGB, backend="obs"
            )
        except (RuntimeError, KeyError) as error:
            raise camera_fault(str(error)) from error
        self.detail = f"{self._camera.device}, {output.size} at {output.fps:g} fps"
        self.written = 0

    def send(self, frame: Frame) -> None:
        try:
            self._camera.send(frame.image)
        except (RuntimeError, AttributeError) as error:
            raise SinkError(f"virtual_camera: OBS's virtual camera refused a picture: {error}") from error
        self.written += 1

    def close(self) -> None:
        self._camera.close()
