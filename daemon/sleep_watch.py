"""Hears from logind that the computer is about to sleep, and that it is awake again. Linux, through `jeepney`.

Many cameras do not survive a sleep while they are open, and nobody wants to be filmed by the first moment after one.
A delay lock makes logind wait (5 s at most) until the camera is closed. Where there is no logind, nothing is lost: the
camera is then opened again when it has given no picture for a while.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

from pipeline.messages import Event

log = logging.getLogger(__name__)

_PATH: Final = "/org/freedesktop/login1"
_NAME: Final = "org.freedesktop.login1"
_INTERFACE: Final = "org.freedesktop.login1.Manager"
_ANSWER_S: Final = 2.0


class SleepWatch:
    """`changed(True)` before sleep, `changed(False)` after, on a thread of its own; it may block."""

    def __init__(self, changed: Callable[[bool], None], emit: Callable[[Event], None]) -> None:
        self._changed = changed
        self._emit = emit

    def start(self) -> None:
        """Watch, where the system can tell; else do nothing."""
        if sys.platform == "linux":
            threading.Thread(target=self._watch, name="sleep-watch", daemon=True).start()

    def _watch(self) -> None:
        try:
            from jeepney.io.blocking import open_dbus_connection

            with contextlib.closing(open_dbus_connection(bus="SYSTEM", enable_fds=True)) as bus:
                self._listen(bus)
        except ImportError:
            log.info("the computer's sleep is not noticed ahead: pip install jeepney")
        except FileNotFoundError:
            log.debug("there is no system bus here: the computer's sleep is not noticed ahead")
        except Exception as error:  # noqa: BLE001 no bus, no logind, a bus that ended: the camera is watched anyway
            log.info("the computer's sleep is not noticed ahead: %s: %s", type(error).__name__, error)

    def _listen(self, bus: Any) -> None:
        from jeepney import MatchRule, message_bus

        rule = MatchRule(type="signal", interface=_INTERFACE, member="PrepareForSleep", path=_PATH)
        bus.send_and_get_reply(message_bus.AddMatch(rule), timeout=_ANSWER_S)
        with bus.filter(rule, bufsize=16) as signals:
            lock = _delay(bus)
            while True:
                (sleeps,) = bus.recv_until_filtered(signals).body
                self._changed(bool(sleeps))
                if sleeps and lock is not None:
                    lock.close()  # the computer may sleep now
                lock = None if sleeps else _delay(bus)


def _delay(bus: Any) -> Any:
    """A lock that lets us finish first; None where logind gives none."""
    from jeepney import DBusAddress, DBusErrorResponse, new_method_call
    from jeepney.wrappers import unwrap_msg

    logind = DBusAddress(_PATH, _NAME, _INTERFACE)
    body = ("sleep", "Phosphene", "The camera is being closed", "delay")
    try:
        reply = bus.send_and_get_reply(new_method_call(logind, "Inhibit", "ssss", body), timeout=_ANSWER_S)
        return unwrap_msg(reply)[0]
    except (DBusErrorResponse, TimeoutError) as error:
        log.info("logind gives no delay before sleep: %s", error)
        return None
