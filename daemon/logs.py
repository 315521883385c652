"""The daemon's log: to a file of the state folder, or to standard error; secrets never get in."""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import re
import sys
from pathlib import Path
from typing import Final

MAX_BYTES: Final = 5_000_000
KEPT: Final = 3
FORMAT: Final = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"

_PATTERNS: Final = (
    re.compile(r"(?i)(bearer\s+)[^\s\"',;]+"),
    re.compile(
        r"(?i)((?:[?&#]|\b)(?:token|key|stream_key|password|secret)\b[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,;}]+"
    ),
)


_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


class Redact(logging.Filter):
    """Puts *** for the known secrets, and for what stands where a secret does (Bearer …, token=…, key=…).

    Works on the finished text, tracebacks included, so it belongs on handlers.
    """

    def __init__(self, *secrets: str) -> None:
        super().__init__()
        self._secrets = [secret for secret in secrets if len(secret) >= 8]

    def add(self, secret: str) -> None:
        """Hide one more secret from now on."""
        if len(secret) >= 8:
            self._secrets.append(secret)

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = on_one_line(self.clean(record.getMessage())), None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = self.clean(record.exc_text)
        return True

    def clean(self, text: str) -> str:
        """`text` without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        for pattern in _PATTERNS:
            text = pattern.sub(r"\1***", text)
        return text


def on_one_line(text: str) -> str:
    """Control characters as escapes: a prompt or a style's name can neither forge a line nor colour a terminal."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class _Stderr(logging.Handler):
    """Writes to whatever `sys.stderr` is at that moment (the status line borrows it)."""

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(
            OSError, ValueError
        ):  # a full disk, a closed terminal: whoever logs must not fail
            print(self.format(record), file=sys.stderr, flush=True)


class _File(logging.handlers.RotatingFileHandler):
    """A full disk loses lines and nothing else: said once on standard error, until lines can be written again."""

    failing = False

    def emit(self, record: logging.LogRecord) -> None:
        failed_before, self._failed = self.failing, False
        super().emit(record)
        self.failing = self._failed
        if failed_before and not self.failing:
            _say(f"the log {self.baseFilename} is written again")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 its name in the standard library
        self._failed = True
        if not self.failing:
            _say(
                f"the log {self.baseFilename} cannot be written: {sys.exc_info()[1]}; everything else goes on"
            )


def _say(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        print(f"WARNING: {text}", file=sys.stderr, flush=True)


def set_up(level: str, redact: Redact, file: Path, *, to_stderr: bool) -> None:
    """Send the log to `file` (mode 0600, rotated at 5 MB, three kept), and to standard error where asked."""
    handlers: list[logging.Handler] = []
    try:
        file.touch(mode=0o600, exist_ok=True)
        to_file = _File(file, maxBytes=MAX_BYTES, backupCount=KEPT, encoding="utf-8")
        to_file.setFormatter(logging.Formatter(FORMAT))
        handlers.append(to_file)
    except OSError as error:
        _say(f"the log {file} cannot be written: {error.strerror}; everything else goes on")
    if to_stderr:
        stderr = _Stderr()
        stderr.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
        handlers.append(stderr)
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    for handler in handlers:
        handler.addFilter(redact)
        root.addHandler(handler)
    set_level(level)
    logging.captureWarnings(True)


def set_level(level: str) -> None:
    """debug, info, warning or error; other people's libraries stay at warning unless it is debug."""
    logging.getLogger().setLevel(logging.DEBUG if level == "debug" else logging.WARNING)
    for ours in ("daemon", "pipeline", "integrations", "phosphene"):
        logging.getLogger(ours).setLevel(level.upper())
