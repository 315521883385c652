"""`phosphene logs`."""

from __future__ import annotations

import sys
import time
from collections import deque
from pathlib import Path
from typing import TextIO

from daemon import places
from daemon.exit_codes import ExitCode
from pipeline.errors import PhospheneError

POLL_S = 0.2


def show_log(follow: bool, lines: int) -> int:
    """The last lines, then what comes; a rotated file is followed to the new one."""
    path = places.log_file()
    try:
        file = path.open(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        raise PhospheneError(f"there is no log yet ({path})", "start the daemon: phosphene start") from None
    with file:
        sys.stdout.writelines(deque(file, lines))
        sys.stdout.flush()
        if not follow:
            return ExitCode.OK
        _follow(file, path)
    return ExitCode.OK


def _follow(file: TextIO, path: Path) -> None:
    while True:
        if text := file.read():
            sys.stdout.write(text)
            sys.stdout.flush()
            continue
        time.sleep(POLL_S)
        try:
            rotated = path.stat().st_ino != _inode(file) or path.stat().st_size < file.tell()
        except FileNotFoundError:
            continue
        if rotated:
            with path.open(encoding="utf-8", errors="replace") as newer:
                _follow(newer, path)


def _inode(file: TextIO) -> int:
    import os

    return os.fstat(file.fileno()).st_ino
