"""Entry point of the capture process: `python -m pipeline.capture_main CAMERA-RING RAW-RING BELL`."""

from __future__ import annotations

import sys

from pipeline.capture_role import run_capture
from pipeline.child import run_child
from pipeline.shared_memory import PipeBell, SharedRing


def main(camera: str, raw: str, bell: str) -> int:
    camera_writer = SharedRing.attach(camera).writer(PipeBell.attach(bell))
    raw_writer = SharedRing.attach(raw).writer()
    return run_child("capture", lambda channel: run_capture(channel, camera_writer, raw_writer))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
