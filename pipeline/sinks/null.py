"""Converts to the virtual camera's format and throws it away: what the daemon costs without a device."""

from __future__ import annotations

from pipeline.frame import Frame
from pipeline.options import Options as BaseOptions
from pipeline.sink import OutputFormat
from pipeline.sinks._i420 import I420


class Options(BaseOptions):
    pass


def available() -> str | None:
    return None


def create(options: Options, output: OutputFormat) -> NullSink:
    return NullSink(output)


class NullSink:
    """`written` counts frames."""

    wanted = True

    def __init__(self, output: OutputFormat) -> None:
        self._convert = I420(output.size)
        self.detail = f"nothing, I420 {output.size}"
        self.written = 0

    def send(self, frame: Frame) -> None:
        self._convert(frame.image)
        self.written += 1

    def close(self) -> None:
        return
