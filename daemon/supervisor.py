"""Starts, watches and restarts the two roles that may die: capture and engine.

A role is a child process (`ProcessRun`) or, with `processes: false`, a thread (`ThreadRun`); the policy is the
same (`daemon.policy`). A role that ends without having been asked is started again with back-off; one that stops
reporting is killed first; one that breaks again and again is given up. Nothing here knows what a role does.
"""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import IO, Any, Final, Protocol

from daemon.policy import Attempts, Policy
from pipeline.channel import Channel, Message, QueueChannel, lines

log = logging.getLogger(__name__)

Body = Callable[[Channel], int]
"""A role as a function: runs until told to stop, returns an exit code."""


_UNSENT: Final = (
    256  # messages for a child that does not read (it is stopped or hangs); it will be killed anyway
)


class Run(Protocol):
    """One life of a role. pid: None where it is a thread."""

    @property
    def pid(self) -> int | None: ...

    def send(self, message: Message) -> None: ...

    def messages(self) -> Any:
        """Iterates over what the role says; ends when the role has ended."""
        ...

    def end(self, wait_s: float) -> None:
        """Ask, wait, then force."""
        ...

    def kill(self) -> None: ...

    def outcome(self) -> str:
        """In words, after the end: "exit code 1", "killed by signal 9"."""
        ...


class ProcessRun:
    """A child process that speaks JSON lines on its standard input and output."""

    def __init__(self, argv: Sequence[str], fds: Sequence[int]) -> None:
        options: dict[str, Any] = {} if sys.platform == "win32" else {"pass_fds": tuple(fds)}
        self._process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8", **options
        )
        self._unsent: queue.Queue[Message | None] = queue.Queue(_UNSENT)
        self._writer = threading.Thread(target=self._write, name=f"to-{self.pid}", daemon=True)
        self._writer.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, message: Message) -> None:
        """Returns at once, also while the child does not read and its pipe is full."""
        with contextlib.suppress(queue.Full):
            self._unsent.put_nowait(message)

    def _write(self) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        with contextlib.suppress(OSError, ValueError):  # a dead child is noticed by `messages`
            while (message := self._unsent.get()) is not None:
                stdin.write(json.dumps(message) + "\n")
                stdin.flush()
        with contextlib.suppress(OSError):  # what a dead child left unread is lost with it
            stdin.close()

    def messages(self) -> Any:
        out: IO[str] | None = self._process.stdout
        assert out is not None
        with out:
            yield from lines(out)
        self._process.wait()
        self._finish_writing()

    def end(self, wait_s: float) -> None:
        self.send({"do": "stop"})
        try:
            self._process.wait(wait_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            try:
                self._process.wait(1.0)
            except subprocess.TimeoutExpired:
                log.error("process %d does not die: the kernel holds it in a device call", self.pid)
        self._finish_writing()

    def _finish_writing(self) -> None:
        """The writing thread ends: by this, or because the dead child's pipe is broken."""
        with contextlib.suppress(queue.Full):
            self._unsent.put_nowait(None)

    def kill(self) -> None:
        self._process.kill()

    def outcome(self) -> str:
        code = self._process.poll()
        if code is not None and code < 0:
            return f"killed by signal {-code}"
        return f"exit code {code}"


class ThreadRun:
    """A role as a thread of this process (tests, debuggers). It cannot be killed, only asked."""

    def __init__(self, name: str, body: Body) -> None:
        self._host, role = QueueChannel.pair()
        self._code: int | None = None

        def target() -> None:
            try:
                self._code = body(role)
            except Exception:
                log.exception("%s ended by an error", name)
                self._code = 1
            role.close()

        self._thread = threading.Thread(target=target, name=name, daemon=True)
        self._thread.start()

    pid: int | None = None

    def send(self, message: Message) -> None:
        self._host.send(message)

    def messages(self) -> Any:
        while True:
            try:
                message = self._host.receive(None)
            except EOFError:
                return
            if message is not None:
                yield message

    def end(self, wait_s: float) -> None:
        self.send({"do": "stop"})
        self._thread.join(wait_s)

    def kill(self) -> None:
        self.send({"do": "stop"})

    def outcome(self) -> str:
        return f"exit code {self._code}"


class Supervised:
    """Keeps one role running.

    name: for people. launch: makes one run. hello: the first message of every run (the whole configuration and
    the newest state). on_message: called on the watching thread. on_down: called there with the reason of every
    end that was not asked for (by `pause`, `restart` or `stop`); the second argument says that the role is given up.
    """

    def __init__(
        self,
        name: str,
        launch: Callable[[], Run],
        hello: Callable[[], Message],
        on_message: Callable[[Message], None],
        on_down: Callable[[str, bool], None],
        policy: Policy,
    ) -> None:
        self.name = name
        self._launch = launch
        self._hello = hello
        self._on_message = on_message
        self._on_down = on_down
        self._attempts = Attempts(policy)
        self._wanted = threading.Event()
        self._quit = threading.Event()
        self._change = threading.Condition()
        self._run: Run | None = None
        self._heard = time.monotonic()
        self._killed_for = self._cause = ""
        self._waits_for_world = False
        self._asked_anew: Run | None = None  # the run whose end was asked for, to begin another
        self._well_since: float | None = None
        self.given_up = False
        self.restarts = 0
        self.causes: Counter[str] = Counter()  # of the restarts, in few words that hold no figures
        self._thread = threading.Thread(target=self._watch, name=f"watch-{name}", daemon=True)

    @property
    def pid(self) -> int | None:
        run = self._run
        return run.pid if run else None

    @property
    def silent_s(self) -> float:
        """Seconds since the role last said something."""
        return time.monotonic() - self._heard

    def start(self) -> None:
        """Want the role to run. May be called again after `pause`. One that was given up stays so."""
        self._wanted.set()
        if not self._thread.is_alive():
            self._thread.start()
        self._notify()

    def revive(self) -> None:
        """Count failures anew, and try again what was given up."""
        self._attempts.reset()
        if self.given_up:
            self.given_up = False
            self._notify()

    def pause(self, wait_s: float = 0.3) -> None:
        """End the role and do not start it again until `start`. The camera is closed when this returns."""
        self._wanted.clear()
        if (run := self._run) is not None:
            run.end(wait_s)

    def finish(self) -> None:
        """The role has done its work: when it ends, it is not started again until `start`."""
        self._wanted.clear()

    def restart(self, wait_s: float = 1.0) -> None:
        """End this run; the next one begins at once with a new `hello`. Where none is, the next one has that anyway."""
        self.revive()
        if (run := self._run) is not None:
            self._asked_anew = run
            run.end(wait_s)

    def stop(self, wait_s: float) -> None:
        """End the role for good."""
        self._quit.set()
        self.pause(wait_s)
        self._notify()
        if self._thread.is_alive():
            self._thread.join(wait_s + 0.5)

    def send(self, message: Message) -> None:
        if (run := self._run) is not None:
            run.send(message)

    def well(self) -> None:
        """This run does what it is for, from now on: failures are counted anew once that has lasted a while."""
        self._well_since = time.monotonic()

    def kill_if_silent(self, limit_s: float) -> None:
        """The watchdog's tick: a role that has said nothing for `limit_s` is killed, and so restarted."""
        if self._run is not None and self.silent_s > limit_s:
            self._heard = time.monotonic()
            self.kill_for(f"said nothing for {limit_s:g} s", cause="silent")

    def forgive_silence(self) -> None:
        """The host itself has slept: what the role said meanwhile is still to be read."""
        self._heard = time.monotonic()

    def kill_for(self, reason: str, *, cause: str, waiting: bool = False) -> None:
        """Kill this run because of `reason`; it is restarted. waiting: the world's fault (see `daemon.policy`).

        cause: what `causes` counts it under.
        """
        if (run := self._run) is not None:
            self._killed_for, self._cause, self._waits_for_world = reason, cause, waiting
            run.kill()

    def _notify(self) -> None:
        with self._change:
            self._change.notify_all()

    def _watch(self) -> None:
        while not self._quit.is_set():
            with self._change:
                if not self._wanted.is_set() or self.given_up:
                    self._change.wait(1.0)
                    continue
            self._well_since = None
            outcome, run = self._live()
            asked, self._asked_anew = run is not None and run is self._asked_anew, None
            if asked or not self._wanted.is_set() or self._quit.is_set():
                self._killed_for, self._cause, self._waits_for_world = "", "", False
                self._attempts.reset()
                continue
            reason, self._killed_for = self._killed_for or outcome, ""
            waiting, self._waits_for_world = self._waits_for_world, False
            wait_s = self._attempts.failed(self._well_s(), waiting=waiting)
            self.restarts += 1
            self.causes[self._cause or outcome] += 1
            self._cause = ""
            self.given_up = wait_s is None
            self._on_down(reason, self.given_up)
            self._quit.wait(wait_s or 0.0)

    def _well_s(self) -> float:
        return 0.0 if self._well_since is None else time.monotonic() - self._well_since

    def _live(self) -> tuple[str, Run | None]:
        """One run from its launch to its end: what ended it, in words, and the run; None where none began.

        Never raises: this thread must not end.
        """
        try:
            self._heard = time.monotonic()
            run = self._run = self._launch()
        except OSError as error:  # no memory, no descriptors, no process left to have
            log.error("%s cannot be started: %s", self.name, error)
            return f"it cannot be started: {error.strerror}", None
        run.send(self._hello())
        if not self._wanted.is_set():  # paused while it was being launched
            run.end(0.3)
        try:
            for message in run.messages():
                self._heard = time.monotonic()
                self._on_message(message)
        except Exception:
            log.exception("a message of %s was not understood", self.name)
            run.kill()
            return "it said what the host does not understand", run
        finally:
            self._run = None
        return run.outcome(), run
