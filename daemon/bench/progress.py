"""A bar on a terminal; elsewhere a line for each stretch."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any


class Progress:
    """steps: about how many times `say` will be called."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._said = 0
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            from rich import progress
            from rich.console import Console

            self._bar = progress.Progress(
                progress.SpinnerColumn(),
                progress.BarColumn(24),
                progress.TextColumn("{task.description}"),
                progress.TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task("starting", total=self._steps)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, text: str) -> None:
        """What is measured from now on."""
        if self._bar is None:
            print(text, file=sys.stderr, flush=True)
            return
        self._bar.update(self._task, completed=min(self._said, self._steps - 1), description=text)
        self._said += 1
