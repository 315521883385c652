"""Other tools drive Phosphene through OBS: `BroadcastCustomEvent` with {"phosphene": …} is a command, and what was
applied goes out as {"phosphene_event": …}.

A custom event reaches every client of OBS, its sender too. Ours never say `phosphene`, so none of them is acted on.
"""

from __future__ import annotations

from typing import Any, Final

from integrations.actions import parse_action
from integrations.commands import check_plain, read_command
from integrations.control import Control
from integrations.obs.connection import Connection
from integrations.obs.part import Part
from integrations.token_bucket import TokenBucket
from pipeline.errors import PhospheneError
from pipeline.messages import Command, Event

COMMAND: Final = "phosphene"
ANSWER: Final = "phosphene_event"

COMMANDS_A_SECOND, COMMANDS_AT_ONCE = 200.0, 400.0  # as over HTTP
ERRORS_A_SECOND, ERRORS_AT_ONCE = 5.0, 20.0


class CustomEvents(Part):
    """`phosphene`: a command as the HTTP API takes it, or a line as `obs.hotkeys` takes it ("neon over 1s")."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._commands = TokenBucket(COMMANDS_A_SECOND, COMMANDS_AT_ONCE)
        self._errors = TokenBucket(ERRORS_A_SECOND, ERRORS_AT_ONCE)

    def heard(self, obs: Connection, name: str, data: dict[str, Any]) -> None:
        if name != "CustomEvent" or COMMAND not in data:
            return
        try:
            if not self._commands.take():
                raise PhospheneError("Too many commands.", "Send fewer than 200 a second.")
            self._control.submit(command_of(data[COMMAND]), "obs")
        except PhospheneError as error:
            if self._errors.take():
                _send(obs, {"kind": "error", "message": error.message, "mend": error.mend})

    def told(self, obs: Connection, event: Event) -> None:
        if event.kind == "state":
            _send(obs, announcement(event))


def command_of(given: Any) -> Command:
    """Raises PhospheneError for whatever is no command."""
    check_plain(given)
    if isinstance(given, str):
        return parse_action(given)
    command: Command = read_command(given)
    return command


def announcement(event: Event) -> dict[str, Any]:
    """What other tools are told of an applied change: {kind, message, revision, origin, style, prompt, mode}."""
    state = event.data.get("state") or {}
    style = state.get("style") or {}
    return {
        "kind": "state",
        "message": event.message,
        "revision": event.data.get("revision"),
        "origin": event.data.get("origin"),
        "style": style.get("name"),
        "prompt": style.get("prompt"),
        "mode": state.get("mode"),
    }


def _send(obs: Connection, facts: dict[str, Any]) -> None:
    obs.request("BroadcastCustomEvent", {"eventData": {ANSWER: facts}})
