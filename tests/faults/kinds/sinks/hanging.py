"""For tests: a device whose call hangs while a file exists, as a driver's would."""

from __future__ import annotations

import time
from pathlib import Path

from pipeline.frame import Frame
from pipeline.options import Options as BaseOptions
from pipeline.options import setting
from pipeline.sink import OutputFormat

ARGUMENT = "path"


class Options(BaseOptions):
    path: str = setting(..., "file that makes it hang", applies="prepare")


def available() -> str | None:
    return None


def create(options: Options, output: OutputFormat) -> Hanging:
    return Hanging(Path(options.path))


class Hanging:
    wanted = True
    detail = "hangs on request"

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, frame: Frame) -> None:
        while self._path.exists():
            time.sleep(0.01)

    def close(self) -> None:
        while self._path.exists():
            time.sleep(0.01)
