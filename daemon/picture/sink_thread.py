"""One thread a sink: it owns the device, keeps the pace and repeats the newest frame.

A sink that cannot be opened or that fails is opened again with back-off (`daemon.policy`); the others never notice.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from daemon.picture.ladder import Rung
from daemon.picture.view import View
from daemon.policy import SINK, Attempts, Policy
from pipeline.errors import PhospheneError, SinkError
from pipeline.frame import now_ns
from pipeline.messages import Event
from pipeline.metrics import Percentiles, Rate, percentiles
from pipeline.sink import OutputFormat, Sink

log = logging.getLogger(__name__)

STUCK_S: Final = 5.0
REVIVE_LOOK_S: Final = 0.2
ASLEEP_S: Final = 0.5  # between two pictures while nobody looks: devices stay fed, and faults are noticed

GAP_MS: Final = 100.0  # what a viewer may wait for the next picture, or two intervals where those are longer


class SinkThread(threading.Thread):
    """Publishes `view` to the sink that `create` opens, at `output.fps`, until `stop`."""

    def __init__(
        self,
        kind: str,
        create: Callable[[OutputFormat], Sink],
        view: View,
        output: OutputFormat,
        emit: Callable[[Event], None],
        policy: Policy = SINK,
        asleep: Callable[[], bool] = lambda: False,
    ) -> None:
        """asleep: whether nobody looks at any sink (see `daemon.demand`): a picture now and then is enough."""
        super().__init__(name=f"sink-{kind}", daemon=True)
        self.kind = kind
        self._create = create
        self._view = view
        self._output = output
        self._emit = emit
        self._asleep = asleep
        self._attempts = Attempts(policy)
        self._halt = threading.Event()
        self._revived = threading.Event()
        self.given_up = False
        self._was_stuck = False
        self._sink: Sink | None = None
        self._error: PhospheneError | None = None
        self._rate = Rate()
        self.latency_ms = Percentiles()  # camera to here, of each new painted picture
        self.stale_ms = Percentiles()  # age of what is shown, slates apart, at each send
        self.send_ms = Percentiles()
        self.gap_ms = Percentiles()
        self.gaps = 0  # longer than a viewer may wait
        self.longest_gap_ms = 0.0
        self._most_gap_ms = max(GAP_MS, 2000 / output.fps)
        self.rung: Rung = Rung.SLATE
        self.revision = 0
        self.shown = 0  # frames whose picture was a new styled one
        self.sent = 0
        self._sent_at = now_ns()
        self.late = 0  # intervals lost because `send` took too long

    def stop(self) -> None:
        """Ask the thread to end; it ends within one frame interval unless the device call hangs."""
        self._halt.set()

    def status(self) -> dict[str, Any]:
        """Plain values for `phosphene status`. showing: the rung, or "idle" while nobody looks."""
        sink, error = self._sink, self._error
        return {
            "kind": self.kind,
            "status": self._status(),
            "detail": sink.detail if sink else "",
            "error": str(error.message) if error else None,
            "mend": error.mend if error else None,
            "fps": round(self._rate.per_second(), 2),
            "showing": self.rung.value if sink is not None and sink.wanted else "idle",
            "sent": self.sent,
            "late": self.late,
            "latency_ms": percentiles(self.latency_ms),
            "stale_ms": percentiles(self.stale_ms),
            "send_ms": percentiles(self.send_ms),
            "gap_ms": {**percentiles(self.gap_ms), "longest": round(self.longest_gap_ms, 1)},
            "gaps": self.gaps,
        }

    @property
    def watched(self) -> bool:
        """Whether somebody consumes pictures of this sink now. One that is not open has nobody."""
        sink = self._sink
        return sink is not None and bool(getattr(sink, "watched", sink.wanted))

    def _status(self) -> str:
        if self._sink is not None:
            return "stuck" if self.stuck() else "open"
        if self.given_up:
            return "given up"
        return "failed" if self._error else "opening"

    def revive(self) -> None:
        """Try again what was given up."""
        self._revived.set()

    def watch(self) -> None:
        """The watchdog's tick, on the host's thread: says when a device call hangs, and when it goes on."""
        if (stuck := self.stuck()) == self._was_stuck:
            return
        self._was_stuck = stuck
        if stuck:
            message = f"{self.kind}: the device has taken no picture for {STUCK_S:g} s; the other sinks go on"
            mend = "if it goes on: phosphene restart"
            self._emit(
                Event("sink", message, {"sink": self.kind, "status": "stuck", "mend": mend}, level="error")
            )
        elif self._sink is not None:
            self._emit(Event("sink", f"{self.kind}: it goes on", {"sink": self.kind, "status": "open"}))

    def stuck(self) -> bool:
        """Whether an open sink that is wanted has sent nothing for a while: its device call hangs."""
        sink = self._sink
        return sink is not None and sink.wanted and (now_ns() - self._sent_at) / 1e9 > STUCK_S

    def run(self) -> None:
        while not self._halt.is_set():
            began = time.monotonic()
            try:
                self._sink = self._create(self._output)
            except Exception as error:  # noqa: BLE001 whatever a device raises is this sink's fault alone
                self._try_again(error, ran_s=0.0)
                continue
            self._emit(
                Event("sink", f"{self.kind}: {self._sink.detail}", {"sink": self.kind, "status": "open"})
            )
            self._error, self._sent_at = None, now_ns()
            try:
                self._publish(self._sink)
            except Exception as error:  # noqa: BLE001 as above
                self._try_again(error, ran_s=time.monotonic() - began)
            finally:
                self._close()

    def _close(self) -> None:
        sink, self._sink = self._sink, None
        if sink is not None:
            try:
                sink.close()
            except Exception:
                log.exception("%s: closing it failed", self.kind)

    def _try_again(self, error: Exception, *, ran_s: float) -> None:
        """Say what happened, let go of the device and wait; for a fault too many, until somebody asks."""
        fault = _fault(error)
        self._close()
        wait_s = self._attempts.failed(ran_s, waiting=isinstance(error, PhospheneError))
        if wait_s is None:
            self.given_up = True
            fault = SinkError(
                f"given up after {self._attempts.faults} failures in a row: {fault.message}",
                "phosphene resume (tries again), and phosphene logs (says more)",
            )
        self._failed(fault, first=ran_s > 0)
        if wait_s is not None:
            self._halt.wait(wait_s)  # ends at once when asked to stop
            return
        while not (self._halt.is_set() or self._revived.wait(REVIVE_LOOK_S)):
            continue
        self._revived.clear()
        self._attempts.reset()
        self.given_up = False

    def _publish(self, sink: Sink) -> None:
        interval = int(1e9 / self._output.fps)
        due = now_ns()
        last_sent = 0
        last_number = -1
        while not self._halt.is_set():
            idle = self._asleep() and (now_ns() - self._sent_at) / 1e9 < ASLEEP_S
            if idle:
                last_sent = 0  # that gap was nobody's
            if sink.wanted and not idle:
                frame, self.rung = self._view.now()
                began = now_ns()
                sink.send(frame)
                sent = now_ns()
                self.send_ms.add((sent - began) / 1e6)
                if self.rung is not Rung.SLATE:
                    self.stale_ms.add((sent - frame.t_capture) / 1e6)
                if self.rung is Rung.STYLED and frame.seq != last_number:
                    self.latency_ms.add((sent - frame.t_capture) / 1e6)
                    last_number = frame.seq
                    self.shown += 1
                    self.revision = frame.revision
                if last_sent:
                    self._gap((sent - last_sent) / 1e6)
                last_sent = self._sent_at = sent
                self.sent += 1
                self._rate.count()
            else:
                last_sent, self._sent_at = 0, now_ns()  # who begins to look finds no gap and nothing stuck
            due += interval
            if (left := due - now_ns()) > 0:
                self._halt.wait(left / 1e9)
            else:
                missed = -left // interval
                self.late += missed
                due += missed * interval

    def _gap(self, milliseconds: float) -> None:
        self.gap_ms.add(milliseconds)
        self.longest_gap_ms = max(self.longest_gap_ms, milliseconds)
        self.gaps += milliseconds > self._most_gap_ms

    def _failed(self, error: PhospheneError, *, first: bool) -> None:
        """Said once for each new reason, not once for each attempt."""
        if first or self._error is None or error.message != self._error.message:
            data = {"sink": self.kind, "status": "failed", "mend": error.mend}
            said = str(error).removeprefix(f"{self.kind}: ")  # many kinds begin with their own name
            self._emit(Event("sink", f"{self.kind}: {said}", data, level="warning"))
        self._error = error


def _fault(error: Exception) -> PhospheneError:
    """What to tell people. An error that nobody foresaw is this sink's fault too, and goes whole into the log."""
    if isinstance(error, PhospheneError):
        return error
    log.error("unforeseen", exc_info=error)
    return SinkError(f"unforeseen {type(error).__name__}: {error}")
