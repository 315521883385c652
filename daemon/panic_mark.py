"""Panic outlives the program: a daemon that was killed while it was on starts again with the camera closed.

It is left by an explicit act alone (`phosphene resume`, another mode on the page, in OBS, by a key), and a crash, an
update or a restart by the service manager is none.
"""

from __future__ import annotations

import contextlib

from daemon import places


def is_set() -> bool:
    return places.panic_file().exists()


def keep(panic: bool) -> None:
    """Take down whether it is on. Raises OSError when that cannot be written."""
    if panic:
        places.panic_file().touch(mode=0o600)
    else:
        with contextlib.suppress(FileNotFoundError):
            places.panic_file().unlink()
