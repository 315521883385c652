"""Starts, watches and restarts the two roles that may die: capture and engine.

A role is a child process (`ProcessRole`) or, with `processes: false`, a thread (`ThreadRole`); the policy is the
same. A role that ends without having been asked is started again with back-off; one that stops reporting is killed
first. Nothing here knows what a role does.
"""

from __future__ import annotations

import contextlib
import json
import logging
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, Any, Protocol

from pipeline.channel import Channel, Message, QueueChannel, lines

log = logging.getLogger(__name__)

Body = Callable[[Channel], int]
"""A role as a function: runs until told to stop, returns an exit code."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds before restart n: first · factor^n, at most `most`, ± 10 %. A run of `calm_s` starts over at n = 0."""

    first_s: float = 0.1
    factor: float = 2.0
    most_s: float = 2.0
    calm_s: float = 10.0

    def seconds(self, attempt: int) -> float:
        return float(min(self.most_s, self.first_s * self.factor**attempt) * random.uniform(0.9, 1.1))


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
        self._lock = threading.Lock()

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, message: Message) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        with contextlib.suppress(OSError, ValueError), self._lock:  # a dead child is noticed by `messages`
            stdin.write(json.dumps(message) + "\n")
            stdin.flush()

    def messages(self) -> Any:
        out: IO[str] | None = self._process.stdout
        assert out is not None
        with out:
            yield from lines(out)
        self._process.wait()
        self._close_stdin()

    def end(self, wait_s: float) -> None:
        self.send({"do": "stop"})
        try:
            self._process.wait(wait_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(1.0)
        self._close_stdin()

    def _close_stdin(self) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        with contextlib.suppress(OSError):  # what a dead child left unread is lost with it
            stdin.close()

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
    the newest state). on_message, on_down: called on the watching thread. silence_s: a role that says nothing
    for so long is killed.
    """

    def __init__(
        self,
        name: str,
        launch: Callable[[], Run],
        hello: Callable[[], Message],
        on_message: Callable[[Message], None],
        on_down: Callable[[str], None],
        *,
        silence_s: float = 10.0,
        backoff: Backoff | None = None,
    ) -> None:
        self.name = name
        self._launch = launch
        self._hello = hello
        self._on_message = on_message
        self._on_down = on_down
        self._silence_s = silence_s
        self._backoff = backoff or Backoff()
        self._wanted = threading.Event()
        self._quit = threading.Event()
        self._change = threading.Condition()
        self._run: Run | None = None
        self._heard = time.monotonic()
        self._killed_for = ""
        self.restarts = 0
        self._thread = threading.Thread(target=self._watch, name=f"watch-{name}", daemon=True)

    @property
    def pid(self) -> int | None:
        run = self._run
        return run.pid if run else None

    def start(self) -> None:
        """Want the role to run. May be called again after `pause`."""
        self._wanted.set()
        if not self._thread.is_alive():
            self._thread.start()
        with self._change:
            self._change.notify_all()

    def pause(self, wait_s: float = 0.3) -> None:
        """End the role and do not start it again until `start`. The camera is closed when this returns."""
        self._wanted.clear()
        if (run := self._run) is not None:
            run.end(wait_s)

    def finish(self) -> None:
        """The role has done its work: when it ends, it is not started again until `start`."""
        self._wanted.clear()

    def restart(self, wait_s: float = 1.0) -> None:
        """End this run; the next one begins at once with a new `hello`."""
        if (run := self._run) is not None:
            self._killed_for = "asked to restart"
            run.end(wait_s)

    def stop(self, wait_s: float) -> None:
        """End the role for good."""
        self._quit.set()
        self.pause(wait_s)
        with self._change:
            self._change.notify_all()
        if self._thread.is_alive():
            self._thread.join(wait_s + 0.5)

    def send(self, message: Message) -> None:
        if (run := self._run) is not None:
            run.send(message)

    def kill_if_silent(self) -> None:
        """The watchdog's tick: a role that has said nothing for `silence_s` is killed, and so restarted."""
        run = self._run
        if run is not None and time.monotonic() - self._heard > self._silence_s:
            self._killed_for = f"said nothing for {self._silence_s:g} s"
            self._heard = time.monotonic()
            run.kill()

    def kill_for(self, reason: str) -> None:
        """Kill this run because of `reason`; it is restarted."""
        if (run := self._run) is not None:
            self._killed_for = reason
            run.kill()

    def _watch(self) -> None:
        attempt = 0
        while not self._quit.is_set():
            with self._change:
                if not self._wanted.is_set():
                    self._change.wait(1.0)
                    continue
            began = self._heard = time.monotonic()
            run = self._run = self._launch()
            run.send(self._hello())
            if not self._wanted.is_set():  # paused while it was being launched
                run.end(0.3)
            for message in run.messages():
                self._heard = time.monotonic()
                self._on_message(message)
            self._run = None
            if not self._wanted.is_set() or self._quit.is_set():
                attempt = 0
                continue
            reason, self._killed_for = self._killed_for or run.outcome(), ""
            self.restarts += 1
            self._on_down(reason)
            attempt = 0 if time.monotonic() - began > self._backoff.calm_s else attempt + 1
            self._quit.wait(self._backoff.seconds(attempt))
