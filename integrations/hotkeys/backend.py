"""What a back end is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from integrations.hotkeys.keys import Combination

Pressed = Callable[[Combination], None]
"""Called on the back end's thread; returns within milliseconds."""


@dataclass(frozen=True, slots=True)
class Bound:
    """How the binding went. problems: why a key is not ours. detail: of the whole, for `status`."""

    problems: Mapping[Combination, str]
    detail: str = ""


class Backend(Protocol):
    """One way to hear keys. All calls come from one thread."""

    def bind(self, keys: Mapping[Combination, str]) -> Bound:
        """Hear these keys and no others from now on. The values say what each does, in words.

        Raises PhospheneError when nothing can be heard at all.
        """
        ...

    def serve(self, wake: threading.Event, pressed: Pressed) -> None:
        """Hear until `wake` is set; return within 0.3 s. Raises PhospheneError when the desktop has gone."""
        ...

    def close(self) -> None:
        """Give every key back."""
        ...
