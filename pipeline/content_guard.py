"""The user's own content check: a function that sees every painted picture before anybody else does.

`safety.check: module:function` names it. It is called in the engine process, on the thread that publishes, with the
finished picture (HWC RGB uint8, not to be written to or kept), and returns True where it may be shown. It costs what
it costs: a check of 20 ms is 20 ms of latency. What it refuses is replaced by the last picture it let through, as
long as it refuses; before the first one, viewers get the card. A check that raises has refused.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from pipeline.errors import EngineError
from pipeline.frame import Image

log = logging.getLogger(__name__)

Check = Callable[[Image], Any]


def find_check(entry: str) -> Check:
    """The function that "module:function" names. Raises EngineError: an engine never paints unchecked by mistake."""
    module, _, name = entry.partition(":")
    try:
        check = getattr(importlib.import_module(module), name)
    except Exception as error:
        raise EngineError(
            f"safety.check: {entry} cannot be loaded: {type(error).__name__}: {error}",
            "install it into Phosphene's environment, name it as module:function, or set safety.check: null",
        ) from error
    if not callable(check):
        raise EngineError(f"safety.check: {entry} is not a function", "name a function as module:function")
    found: Check = check
    return found


class ContentGuard:
    """Lets pictures through, or puts the last good one in their place. One thread. withheld: how many it refused."""

    def __init__(self, check: Check, say: Callable[[str, str], None]) -> None:
        """say: (level, message), of a change."""
        self._check = check
        self._say = say
        self._good: Image | None = None
        self._refusing = False
        self._failed = False
        self.withheld = 0

    def judge(self, picture: Image) -> bool:
        """Whether `picture` may be published now. One that is refused is overwritten with the last good one; False
        where there is none yet."""
        allowed = self._ask(picture)
        if allowed != (not self._refusing):
            self._refusing = not allowed
            said = "lets pictures through again" if allowed else "refuses pictures: the last good one is held"
            self._say("info" if allowed else "warning", f"the content check {said}")
        if allowed:
            if self._good is None or self._good.shape != picture.shape:
                self._good = np.empty_like(picture)
            np.copyto(self._good, picture)
            return True
        self.withheld += 1
        if self._good is None:
            return False
        np.copyto(picture, self._good)
        return True

    def _ask(self, picture: Image) -> bool:
        shown = picture.view()
        shown.flags.writeable = False
        try:
            return bool(self._check(shown))
        except Exception as error:
            if not self._failed:  # said once: it may fail thirty times a second
                self._failed = True
                log.exception("the content check failed")
                self._say(
                    "error", f"the content check failed ({type(error).__name__}: {error}): that refuses"
                )
            return False
