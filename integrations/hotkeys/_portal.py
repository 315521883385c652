"""Wayland: the desktop's GlobalShortcuts portal (org.freedesktop.portal.GlobalShortcuts, version 1 and later).

The desktop asks its user once which keys to give; what was really given is told in words. Keys can be bound once a
session, so other keys mean another session.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from integrations.hotkeys.backend import Bound, Pressed
from integrations.hotkeys.keys import Combination
from pipeline.errors import PhospheneError

PORTAL: Final = "org.freedesktop.portal.Desktop"
PATH: Final = "/org/freedesktop/portal/desktop"
SHORTCUTS: Final = "org.freedesktop.portal.GlobalShortcuts"
REQUEST: Final = "org.freedesktop.portal.Request"
SESSION: Final = "org.freedesktop.portal.Session"
REGISTRY: Final = "org.freedesktop.host.portal.Registry"
APP_ID: Final = "io.github.phosphene"

TICK_S: Final = 0.2
CALL_S: Final = 5.0
DIALOG_S: Final = 120.0  # for the user to answer the desktop's question
MEND: Final = (
    "bind `phosphene style NAME`, `phosphene panic` and so on in the desktop's own settings (docs/hotkeys.md)"
)

TRIGGERS: Final = {"ctrl": "CTRL", "alt": "ALT", "shift": "SHIFT", "super": "LOGO"}
KEYSYMS: Final = {
    "enter": "Return", "tab": "Tab", "escape": "Escape", "backspace": "BackSpace", "delete": "Delete",
    "home": "Home", "end": "End", "page_up": "Page_Up", "page_down": "Page_Down", "up": "Up", "down": "Down",
    "left": "Left", "right": "Right", "pause": "Pause", "print": "Print", "menu": "Menu", "insert": "Insert",
    "scroll_lock": "Scroll_Lock", "media_play": "XF86AudioPlay", "media_next": "XF86AudioNext",
    "media_previous": "XF86AudioPrev",
}  # fmt: skip


def trigger(combination: Combination) -> str:
    """As the XDG shortcuts specification writes it: `CTRL+ALT+1`."""
    key = combination.key
    if key.startswith("kp_"):
        key = f"KP_{key[3:]}"
    elif key[0] == "f" and key[1:].isdigit():
        key = key.upper()
    return "+".join([*(TRIGGERS[name] for name in combination.modifiers), KEYSYMS.get(key, key)])


class PortalKeys:
    """Speaks with the portal on the session bus."""

    def __init__(self) -> None:
        from jeepney.io.blocking import open_dbus_connection

        try:
            self._bus: Any = open_dbus_connection(bus="SESSION")
        except (OSError, KeyError, ValueError) as error:
            raise PhospheneError(f"there is no session bus to ask the desktop on: {error}", MEND) from None
        self._numbers = itertools.count(1)
        self._session = ""
        self._ids: dict[str, Combination] = {}
        self._activated: deque[Any] = deque()
        self._responses: deque[Any] = deque()
        self._filters: list[Any] = []
        try:
            self._version = self._found()
            self._hear_signals()
            self._register()
        except PhospheneError:
            self._bus.close()
            raise

    def bind(self, keys: Mapping[Combination, str]) -> Bound:
        self._end_session()
        token = self._token()
        found = self._request(
            "CreateSession", "a{sv}", ({"session_handle_token": ("s", self._token())},), CALL_S, token
        )
        handle = found.get("session_handle", ("s", ""))[1]
        self._session = str(handle)
        self._ids = {str(combination): combination for combination in keys}
        wanted = [
            (str(c), {"description": ("s", f"Phosphene: {action}"), "preferred_trigger": ("s", trigger(c))})
            for c, action in keys.items()
        ]
        body: tuple[Any, ...] = (self._session, wanted, "", {})
        given = self._request("BindShortcuts", "oa(sa{sv})sa{sv}", body, DIALOG_S, self._token())
        told = dict(given.get("shortcuts", ("", []))[1])
        problems = {}
        for name, combination in self._ids.items():
            if name not in told:
                problems[combination] = "the desktop did not give it"
            elif "trigger_description" in told[name] and not told[name]["trigger_description"][1]:
                problems[combination] = "the desktop has no key for it; choose one in its settings, Shortcuts"
        words = [facts["trigger_description"][1] for facts in told.values() if "trigger_description" in facts]
        chosen = f": {', '.join(filter(None, words))}" if any(words) else ""
        return Bound(problems, f"GlobalShortcuts portal, version {self._version}{chosen}")

    def serve(self, wake: threading.Event, pressed: Pressed) -> None:
        while not wake.is_set():
            self._receive(TICK_S)
            while self._activated:
                session, name, *_ = self._activated.popleft().body
                if session == self._session and name in self._ids:
                    pressed(self._ids[name])

    def close(self) -> None:
        self._end_session()
        self._bus.close()

    # ------------------------------------------------------------ inside

    def _found(self) -> int:
        """The portal's version. Raises PhospheneError where the desktop has none."""
        reply = self._call("org.freedesktop.DBus.Properties", "Get", "ss", (SHORTCUTS, "version"))
        if reply is None:
            raise PhospheneError("this desktop has no GlobalShortcuts portal", MEND)
        return int(reply[0][1])

    def _register(self) -> None:
        """Newer portals want to know who asks; older ones, and desktops without our file, refuse: no matter."""
        self._call(REGISTRY, "Register", "sa{sv}", (APP_ID, {}))

    def _hear_signals(self) -> None:
        from jeepney import MatchRule, message_bus
        from jeepney.low_level import MessageType

        rules = (
            (MatchRule(type="signal", interface=REQUEST, member="Response"), self._responses),
            (MatchRule(type="signal", interface=SHORTCUTS, member="Activated"), self._activated),
        )
        for rule, into in rules:
            reply = self._bus.send_and_get_reply(message_bus.AddMatch(rule), timeout=CALL_S)
            if reply.header.message_type is MessageType.error:
                raise PhospheneError("the session bus lets no signals through", MEND)
            self._filters.append(self._bus.filter(rule, queue=into))

    def _call(
        self, interface: str, member: str, signature: str, body: tuple[Any, ...]
    ) -> tuple[Any, ...] | None:
        """A call's answer; None where it is refused. Raises PhospheneError where nobody answers."""
        from jeepney import DBusAddress, new_method_call
        from jeepney.low_level import MessageType

        message = new_method_call(DBusAddress(PATH, PORTAL, interface), member, signature, body)
        try:
            reply = self._bus.send_and_get_reply(message, timeout=CALL_S)
        except (OSError, TimeoutError) as error:
            raise PhospheneError(f"the desktop's portal does not answer: {error}", MEND) from None
        return None if reply.header.message_type is MessageType.error else reply.body

    def _request(
        self, member: str, signature: str, body: tuple[Any, ...], wait_s: float, token: str
    ) -> dict[str, Any]:
        """A call that the portal answers later by a signal: its results. Raises PhospheneError."""
        from jeepney import HeaderFields

        self._responses.clear()
        *front, options = body
        reply = self._call(SHORTCUTS, member, signature, (*front, {**options, "handle_token": ("s", token)}))
        if reply is None:
            raise PhospheneError(f"the desktop's portal refused {member}", MEND)
        handle = reply[0]
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline:
            for message in tuple(self._responses):
                if message.header.fields.get(HeaderFields.path) == handle:
                    self._responses.clear()
                    code, results = message.body
                    if code:
                        said = (
                            "was refused by the desktop's user" if code == 1 else "was ended by the desktop"
                        )
                        raise PhospheneError(f"binding hotkeys {said}", MEND)
                    return dict(results)
            self._receive(TICK_S)
        raise PhospheneError(f"the desktop did not answer {member} within {wait_s:g} s", MEND)

    def _receive(self, wait_s: float) -> None:
        try:
            self._bus.recv_messages(timeout=wait_s)
        except TimeoutError:
            return
        except (OSError, EOFError) as error:
            raise PhospheneError(f"the session bus has gone: {error}", "log in again") from None

    def _end_session(self) -> None:
        if not self._session:
            return
        from jeepney import DBusAddress, new_method_call

        address = DBusAddress(self._session, PORTAL, SESSION)
        self._session = ""
        try:
            self._bus.send_and_get_reply(new_method_call(address, "Close"), timeout=1.0)
        except (OSError, TimeoutError, EOFError):
            return

    def _token(self) -> str:
        return f"phosphene{os.getpid()}_{next(self._numbers)}"
