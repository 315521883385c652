"""`phosphene run`: settings, log and status line around `daemon.app`."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon import logs, places
from daemon.config.watch import ConfigWatch
from daemon.settings import load
from pipeline.messages import Event

if TYPE_CHECKING:
    from daemon.app import Host

log = logging.getLogger("phosphene")

LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def run_here(
    overrides: dict[str, Any], config: Path | None, seconds: float | None, frames: int | None
) -> int:
    """Until it is stopped. Raises PhospheneError when it cannot start."""
    loaded = load(overrides, config)
    redact = logs.Redact(places.token())
    detached = os.environ.get("PHOSPHENE_DETACHED") == "1"
    on_terminal = not detached and sys.stderr.isatty()
    logs.set_up(
        loaded.settings.log.level, redact, places.log_file(), to_stderr=not detached and not on_terminal
    )
    from daemon import app
    from daemon.cli.status_line import StatusLine

    line = StatusLine(on_terminal)
    watches: list[ConfigWatch] = []

    def on_event(event: Event) -> None:
        if event.kind != "progress":
            log.log(LEVELS[event.level], "%s", event.message)
        line.event(event)

    def on_host(host: Host) -> None:
        line.follow(host.control.status)
        host.control.on_settings(lambda settings, changed: logs.set_level(settings.log.level))
        watches.append(ConfigWatch(loaded.path or places.user_config(), host.control.try_reload))
        if loaded.bank is not None:
            watches.append(ConfigWatch(loaded.bank, host.bank.changed_by_hand))
        for watch in watches:
            watch.start()
        if places.stream_key_file().exists():
            redact.add(places.stream_key_file().read_text("ascii", "replace").strip())

    def on_address(address: str) -> None:
        places.announce(address)
        log.info("the page is at %s", address)
        # Only ever to a terminal: whoever reads this line can do everything.
        line.say(f"page: {address}/#token={places.token()}")

    try:
        with line:
            return app.run(
                loaded,
                seconds=seconds,
                frames=frames,
                on_event=on_event,
                on_host=on_host,
                on_address=on_address,
            )
    finally:
        for watch in watches:
            watch.stop()
