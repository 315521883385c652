"""Where built engines are kept across starts: one folder a key below the user's cache folder."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

KEPT: Final = 12
"""Folders a kind; the one that was not used for the longest goes first."""


def root() -> Path:
    """…/phosphene/engines of the user's cache folder ($XDG_CACHE_HOME on Linux)."""
    import platformdirs

    return platformdirs.user_cache_path("phosphene", appauthor=False) / "engines"


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of one built engine. `done.json` is written last."""

    folder: Path

    @staticmethod
    def of(kind: str, key: str, below: Path | None = None) -> Place:
        return Place((below or root()) / kind / key)

    def rows(self) -> set[int]:
        """Numbers of UNet rows that a build has finished; none while there is no whole build."""
        try:
            return set(json.loads((self.folder / "done.json").read_text("utf-8"))["rows"])
        except (OSError, ValueError, KeyError):
            return set()

    def finish(self, facts: dict[str, Any], rows: set[int]) -> None:
        """Word that everything for these rows is in place."""
        write_whole(self.folder / "done.json", json.dumps({**facts, "rows": sorted(rows)}, indent=1) + "\n")

    def discard(self) -> None:
        """Gone, as far as the system lets it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def touch(self) -> None:
        """Used now: it outlives those that were not."""
        if self.folder.is_dir():
            (self.folder / "used").write_text(str(time.time()), "utf-8")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One builder at a time, whichever process it is in."""
        from filelock import FileLock

        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / "lock"):
            yield

    # An engine that ends the process (a driver's fault) must not do so at every start.

    def failed_trials(self) -> int:
        """Starts of this engine that never came to an end, good or bad."""
        try:
            return len((self.folder / "trials").read_text("utf-8"))
        except OSError:
            return 0

    @contextmanager
    def trial(self) -> Iterator[None]:
        """The file that `failed_trials` counts is there while the block runs, and after a crash in it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        before = self.failed_trials()
        (self.folder / "trials").write_text("x" * (before + 1), "utf-8")
        try:
            yield
        finally:
            (self.folder / "trials").unlink(missing_ok=True)

    def take_trial_back(self) -> None:
        """The one that runs, if one does, is ended by somebody who wants it so: it does not count."""
        if (failed := self.failed_trials()) > 1:
            (self.folder / "trials").write_text("x" * (failed - 1), "utf-8")
        else:
            (self.folder / "trials").unlink(missing_ok=True)

    @contextmanager
    def no_trial(self) -> Iterator[None]:
        yield


def write_whole(path: Path, text: str) -> None:
    """A reader sees the old content or the new one, never half of it."""
    new = path.with_suffix(path.suffix + ".new")
    new.write_text(text, "utf-8")
    new.replace(path)


def prune(kind: str, keep: Path, below: Path | None = None) -> list[Path]:
    """Deletes the longest unused folders of a kind beyond `KEPT`, never `keep`. Returns what went."""
    folder = (below or root()) / kind
    if not folder.is_dir():
        return []
    places = sorted((p for p in folder.iterdir() if p.is_dir()), key=_used, reverse=True)
    gone = [place for place in places[KEPT:] if place != keep]
    for place in gone:
        shutil.rmtree(place, ignore_errors=True)
    return gone


def _used(place: Path) -> float:
    marks = [file for name in ("used", "done.json") if (file := place / name).exists()]
    return max((mark.stat().st_mtime for mark in marks), default=0.0)
