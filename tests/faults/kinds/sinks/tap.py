"""For tests: sends every picture, small, to a socket on which an independent viewer listens (tests.faults.viewer)."""

from __future__ import annotations

import contextlib
import socket

import cv2

from pipeline.frame import Frame
from pipeline.options import Options as BaseOptions
from pipeline.options import setting
from pipeline.sink import OutputFormat

ARGUMENT = "path"
SMALL = (96, 54)


class Options(BaseOptions):
    path: str = setting(..., "socket of the viewer", applies="prepare")


def available() -> str | None:
    return None


def create(options: Options, output: OutputFormat) -> Tap:
    return Tap(options.path)


class Tap:
    wanted = True
    detail = "a test's viewer"

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def send(self, frame: Frame) -> None:
        small = cv2.resize(frame.image, SMALL, interpolation=cv2.INTER_AREA)
        with contextlib.suppress(OSError):  # nobody listens, or too slowly
            self._socket.sendto(small.tobytes(), self._path)

    def close(self) -> None:
        self._socket.close()
