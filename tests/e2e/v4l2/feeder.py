"""Writes the test pattern to the virtual camera until it is killed: python -m tests.e2e.v4l2.feeder [WIDTH
HEIGHT]."""

from __future__ import annotations

import sys

from pipeline.frame import Frame, Size, now_ns
from pipeline.sink import OutputFormat
from pipeline.sinks import virtual_camera
from pipeline.sources import test_pattern


def main(width: int = 640, height: int = 480, fps: float = 25.0) -> None:
    source = test_pattern.create(test_pattern.Options(width=width, height=height, fps=fps, clock=True))
    sink = virtual_camera.create(virtual_camera.Options(), OutputFormat(Size(width, height), fps))
    seq = 0
    while picture := source.read():
        sink.send(Frame(picture.image, seq, picture.t_capture, now_ns()))
        if seq == 2:
            print(sink.detail, flush=True)
        seq += 1


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
