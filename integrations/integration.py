"""What an integration is: one file or folder here whose name is its section in `config.yaml`.

Its module gives
    Options                    pydantic settings of that section (a subclass of `IntegrationOptions`)
    available(options)         None, or one sentence why it cannot be used here, with what mends it
    create(options, control)   an `Integration`, not yet running
and imports nothing heavy at module level. The section is one line in `daemon.settings.Settings`; there is no other
table. The daemon runs each enabled one on a thread of its own and starts it again when it ends
(`daemon.integration_threads`): nothing that happens in it can touch the picture.
"""

from __future__ import annotations

import threading
from typing import Any, Protocol

from pipeline.options import Options, setting


class IntegrationOptions(Options):
    """Base of every integration's section."""

    enabled: bool = setting(False, "whether it runs", applies="live")


class Integration(Protocol):
    """One running integration. `run` is called once, on a thread of its own."""

    def run(self, halt: threading.Event) -> None:
        """Work until `halt` is set, then return within a second with every thread, socket and grab given back.

        What it raises is told to the user, and a new one is created after a back-off. An outside program that is
        not there yet is no error: wait for it.
        """
        ...

    def status(self) -> dict[str, Any]:
        """Plain values, from any thread, at once. `status`: one word. `detail`, `error`, `mend`: sentences."""
        ...
