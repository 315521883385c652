"""Exit codes of `phosphene`, stable between versions; explained in docs/exit-codes.md."""

from __future__ import annotations

from enum import IntEnum

from pipeline.errors import EngineError, ModelError, PhospheneError, SinkError, SourceError


class ExitCode(IntEnum):
    """What a script may rely on."""

    OK = 0
    FAILED = 1  # anything without a code of its own
    USAGE = 2  # unknown command, option or argument
    CONFIG = 3  # the configuration cannot be used
    NOT_RUNNING = 4  # the command needs a running daemon
    ALREADY_RUNNING = 5  # the lock is held; the message says by which process
    DEVICE = 6  # a source or sink cannot be opened
    MODEL = 7  # the model or engine cannot be used
    REFUSED = 8  # the daemon understood the command and refused it (unknown style, value out of range)
    NO_MARK = 9  # marked: the file does not carry the invisible mark
    WARNINGS = 10  # doctor: it will run, with something missing
    PROBLEMS = 11  # doctor: it will not run as configured
    ADDRESS = 12  # the page cannot listen at its address
    OBS = 13  # OBS does not answer, or does not let us in
    INTERRUPTED = 130  # Ctrl-C


class NotRunning(PhospheneError):  # noqa: N818
    """No daemon answers."""


class AlreadyRunning(PhospheneError):  # noqa: N818
    """Another daemon of this user holds the lock."""


class Refused(PhospheneError):  # noqa: N818
    """The running daemon refused a command."""


def exit_code(error: BaseException) -> ExitCode:
    """The code that an error ends the program with."""
    from daemon.config.errors import ConfigError
    from integrations.obs.errors import ObsError

    if isinstance(said := getattr(error, "code", None), int) and said in list(ExitCode):
        return ExitCode(said)  # of the daemon that `phosphene start` started
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    for kind, code in (
        (ConfigError, ExitCode.CONFIG),
        (NotRunning, ExitCode.NOT_RUNNING),
        (AlreadyRunning, ExitCode.ALREADY_RUNNING),
        (Refused, ExitCode.REFUSED),
        (SourceError, ExitCode.DEVICE),
        (SinkError, ExitCode.DEVICE),
        (ModelError, ExitCode.MODEL),
        (EngineError, ExitCode.MODEL),
        (ObsError, ExitCode.OBS),
    ):
        if isinstance(error, kind):
            return code
    return ExitCode.FAILED
