"""A bus of its own with somebody on it who says what logind says before and after a sleep."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

from jeepney import DBusAddress, HeaderFields, MessageType, new_method_return, new_signal
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import open_dbus_connection

NAME, PATH, MANAGER = "org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager"


@contextlib.contextmanager
def private_bus() -> Iterator[str]:
    """Its address, for DBUS_SYSTEM_BUS_ADDRESS."""
    argv = ["dbus-daemon", "--session", "--nofork", "--print-address"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as bus:
        try:
            assert bus.stdout is not None
            yield bus.stdout.readline().strip()
        finally:
            bus.terminate()


class FakeLogind(threading.Thread):
    """Gives delay locks, and tells when they are let go."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self.address = address
        self._bus = open_dbus_connection(bus=address, enable_fds=True)
        self._bus.send_and_get_reply(message_bus.RequestName(NAME))
        self._halt = threading.Event()
        self.asked: list[tuple[Any, ...]] = []
        self.locks: list[int] = []  # our ends
        self._send = threading.Lock()
        self.start()

    def run(self) -> None:
        while not self._halt.is_set():
            try:
                message = self._bus.receive(timeout=0.1)
            except TimeoutError:
                continue
            except (OSError, ConnectionError):
                return
            if message.header.message_type is not MessageType.method_call:
                continue
            if message.header.fields.get(HeaderFields.member) == "Inhibit":
                ours, theirs = os.pipe()
                self.asked.append(message.body)
                self.locks.append(ours)
                with self._send:
                    self._bus.send(new_method_return(message, "h", (theirs,)))
                os.close(theirs)

    def say(self, *, sleeps: bool) -> None:
        emitter = DBusAddress(PATH, interface=MANAGER)
        with self._send:
            self._bus.send(new_signal(emitter, "PrepareForSleep", "b", (sleeps,)))

    def let_go(self, seconds: float) -> bool:
        """Whether the newest lock is closed within so long: the computer may sleep."""
        ready, _, _ = select.select([self.locks[-1]], [], [], seconds)
        return bool(ready) and os.read(self.locks[-1], 1) == b""

    def close(self) -> None:
        self._halt.set()
        self.join(2)
        self._bus.close()
        for fd in self.locks:
            os.close(fd)
