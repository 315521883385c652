"""The desktop's side of org.freedesktop.portal.GlobalShortcuts, as far as one client sees it, on a private bus."""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import Any

from jeepney import DBusAddress, HeaderFields, new_error, new_method_return, new_signal
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import open_dbus_connection
from jeepney.low_level import MessageType

PORTAL, PATH = "org.freedesktop.portal.Desktop", "/org/freedesktop/portal/desktop"
SHORTCUTS, REQUEST = "org.freedesktop.portal.GlobalShortcuts", "org.freedesktop.portal.Request"


class FakePortal(threading.Thread):
    """gives: only these ids (None: all). refuses: the user says no. bound: id → (description, trigger)."""

    def __init__(self, address: str, *, gives: Collection[str] | None = None, refuses: bool = False) -> None:
        super().__init__(daemon=True)
        self._gives, self._refuses = gives, refuses
        self._bus = open_dbus_connection(address)
        reply = self._bus.send_and_get_reply(message_bus.RequestName(PORTAL))
        assert reply.body == (1,)
        self._end = threading.Event()
        self._lock = threading.Lock()
        self.bound: dict[str, tuple[str, str]] = {}
        self.session = ""
        self.closed: list[str] = []

    def __enter__(self) -> FakePortal:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self.join()
        self._bus.close()

    def activate(self, name: str) -> None:
        """The key of that shortcut goes down."""
        emitter = DBusAddress(PATH, PORTAL, SHORTCUTS)
        self._send(new_signal(emitter, "Activated", "osta{sv}", (self.session, name, 0, {})))

    def run(self) -> None:
        while not self._end.is_set():
            try:
                message = self._bus.receive(timeout=0.05)
            except TimeoutError:
                continue
            if message.header.message_type is MessageType.method_call:
                self._answer(message)

    def _answer(self, call: Any) -> None:
        fields = call.header.fields
        member, interface = fields[HeaderFields.member], fields.get(HeaderFields.interface)
        if member == "Get" and call.body == (SHORTCUTS, "version"):
            self._send(new_method_return(call, "v", (("u", 1),)))
        elif interface == SHORTCUTS and member == "CreateSession":
            (options,) = call.body
            self.session = f"{PATH}/session/test/{options['session_handle_token'][1]}"
            self._respond(call, options, {"session_handle": ("s", self.session)})
        elif interface == SHORTCUTS and member == "BindShortcuts":
            session, shortcuts, _, options = call.body
            assert session == self.session
            self.bound = {
                name: (facts["description"][1], facts["preferred_trigger"][1]) for name, facts in shortcuts
            }
            given = [
                (name, {"description": ("s", text), "trigger_description": ("s", f"Press {trigger}")})
                for name, (text, trigger) in self.bound.items()
                if self._gives is None or name in self._gives
            ]
            self._respond(call, options, {"shortcuts": ("a(sa{sv})", given)}, 1 if self._refuses else 0)
        elif member == "Close":
            self.closed.append(fields[HeaderFields.path])
            self._send(new_method_return(call))
        else:
            self._send(new_error(call, "org.freedesktop.DBus.Error.UnknownMethod"))

    def _respond(self, call: Any, options: Any, results: dict[str, Any], code: int = 0) -> None:
        handle = f"{PATH}/request/test/{options['handle_token'][1]}"
        self._send(new_method_return(call, "o", (handle,)))
        emitter = DBusAddress(handle, PORTAL, REQUEST)
        self._send(new_signal(emitter, "Response", "ua{sv}", (code, results)))

    def _send(self, message: Any) -> None:
        with self._lock:
            self._bus.send(message)
