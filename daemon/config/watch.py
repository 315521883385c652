"""Notices when the user's configuration file changes: by looking, one `stat` a second.

Works on network file systems too, with editors that replace the file, and before there is a file.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

PERIOD_S: Final = 1.0

Stamp = tuple[int, int, int] | None
"""Modification time (ns), size, inode; None where there is no file."""


class ConfigWatch:
    """Calls `changed` on a thread of its own once the file has changed and was then still for one period."""

    def __init__(self, path: Path, changed: Callable[[], object], period_s: float = PERIOD_S) -> None:
        self._path, self._changed, self._period_s = path, changed, period_s
        self._known = stamp(path)  # at once: a change that comes before the thread runs is a change
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="config-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._end.set()
        self._thread.join(1.0)

    def _watch(self) -> None:
        known = last = self._known
        while not self._end.wait(self._period_s):
            now = stamp(self._path)
            if now == last and now != known:
                known = now
                # A file that is gone for good changes nothing: what was read stays in force.
                if now is not None:
                    self._changed()
            last = now


def stamp(path: Path) -> Stamp:
    """What changes when the file does."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size, facts.st_ino
