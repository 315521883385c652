"""A real X server for tests, by Xvfb."""

from __future__ import annotations

import os
import subprocess


class Screen:
    """An X server without a screen, under one number for all its lives."""

    def __init__(self) -> None:
        self.name = ""
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        reading, writing = os.pipe()
        number = [self.name] if self.name else []
        self._server = subprocess.Popen(
            ["Xvfb", *number, "-displayfd", str(writing), "-screen", "0", "320x240x24", "-nolisten", "tcp"],
            pass_fds=[writing], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(writing)
        with os.fdopen(reading) as said:
            self.name = f":{said.readline().strip()}"

    def kill(self) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            self._server = None
