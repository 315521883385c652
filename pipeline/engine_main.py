"""Entry point of the engine process: `python -m pipeline.engine_main CAMERA-RING STYLED-RING BELL`."""

from __future__ import annotations

import sys

from pipeline.child import run_child
from pipeline.engine_role import run_engine
from pipeline.shared_memory import PipeBell, SharedRing


def main(camera: str, styled: str, bell: str) -> int:
    camera_reader = SharedRing.attach(camera).reader(PipeBell.attach(bell))
    styled_writer = SharedRing.attach(styled).writer()
    return run_child("engine", lambda channel: run_engine(channel, camera_reader, styled_writer))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
