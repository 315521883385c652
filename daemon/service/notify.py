"""systemd's readiness and watchdog messages (sd_notify), over its datagram socket."""

from __future__ import annotations

import os
import socket
import time


class Notifier:
    """Does nothing where the daemon was not started by systemd. Not thread-safe: one thread speaks."""

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):
            self._address = "\0" + self._address[1:]  # Linux's abstract namespace
        every_us = os.environ.get("WATCHDOG_USEC", "0")
        ours = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._gap_s = int(every_us) / 1e6 / 3 if every_us.isdecimal() and ours else 0.0
        self._last = float("-inf")

    def ready(self, status: str = "") -> None:
        """The daemon answers."""
        self._send("READY=1" + (f"\nSTATUS={status}" if status else ""))

    def status(self, line: str) -> None:
        """One line that `systemctl --user status` shows."""
        self._send("STATUS=" + line.replace("\n", " "))

    def stopping(self) -> None:
        """An orderly end has begun."""
        self._send("STOPPING=1")

    def watchdog(self) -> None:
        """A sign of life; call often, it is sent three times in each of systemd's intervals."""
        now = time.monotonic()
        if self._gap_s and now - self._last >= self._gap_s:
            self._last = now
            self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        family = getattr(socket, "AF_UNIX", None)
        if not self._address or family is None:
            return
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto(message.encode(), self._address)
        except OSError:
            return  # systemd is gone or busy: the picture matters more than telling it
