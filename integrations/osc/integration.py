"""The UDP socket: bounded in size and rate, one command a message, told when something is wrong."""

from __future__ import annotations

import logging
import socket
import threading
import time
from typing import Any, Final

from integrations.control import Control
from integrations.osc.addresses import Addresses
from integrations.osc.options import Options
from pipeline.errors import PhospheneError
from pipeline.messages import Command, SetValue

log = logging.getLogger(__name__)

TICK_S: Final = 0.2
LARGEST: Final = 8192  # bytes of a datagram; a larger one is cut off by the system and not understood
PER_SECOND: Final = 1000
PER_TURN: Final = 200
SAY_S: Final = 5.0  # the same trouble is logged at most so often


class Osc:
    """Implements `integrations.integration.Integration`."""

    def __init__(self, options: Options, control: Control) -> None:
        self._options, self._control = options, control
        self._addresses = Addresses(options.bind)
        self.port = 0
        self._heard = self._dropped = 0
        self._error: PhospheneError | None = None
        self._logged = ("", 0.0)
        self._window = (0.0, 0)

    def run(self, halt: threading.Event) -> None:
        with self._socket() as bound:
            while not halt.is_set():
                if first := self._received(bound, TICK_S):
                    self._turn(bound, first)

    def status(self) -> dict[str, Any]:
        error = self._error
        return {
            "status": "listening" if self.port else "starting",
            "detail": f"UDP {self._options.host}:{self.port}, {self._heard} messages",
            "port": self.port,
            "heard": self._heard,
            "dropped": self._dropped,
            "error": error.message if error else None,
            "mend": error.mend if error else None,
        }

    # ------------------------------------------------------------ inside

    def _socket(self) -> socket.socket:
        host, port = self._options.host, self._options.port
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
            bound = socket.socket(family, socket.SOCK_DGRAM)
        except OSError as error:
            raise PhospheneError(f"OSC cannot listen on {host!r}: {error.strerror}", "set osc.host") from None
        try:
            bound.bind(address)
        except OSError as error:
            bound.close()
            raise PhospheneError(
                f"OSC cannot listen on {host} port {port}: {error.strerror}", "set osc.port to another port"
            ) from None
        bound.settimeout(TICK_S)
        self.port = bound.getsockname()[1]
        return bound

    def _too_many(self) -> bool:
        second, count = self._window
        now = time.monotonic()
        self._window = (now, 1) if now - second >= 1.0 else (second, count + 1)
        return self._window[1] > PER_SECOND

    @staticmethod
    def _received(bound: socket.socket, wait_s: float) -> bytes:
        """The next datagram; none within the time: nothing."""
        bound.settimeout(wait_s)
        try:
            return bound.recvfrom(LARGEST)[0]
        except (TimeoutError, BlockingIOError):
            return b""
        except ConnectionResetError:  # Windows: an answer of ours could not be delivered
            return b""

    def _turn(self, bound: socket.socket, data: bytes) -> None:
        """Everything that has come in: of a value that is moved only its last position becomes a command."""
        commands: list[Command] = []
        heard = 0
        for _ in range(PER_TURN):
            if self._too_many():
                self._dropped += 1
            else:
                heard += self._understand(data, commands)
            if not (data := self._received(bound, 0.0)):
                break
        for command in last_values(commands):
            self._submit(command)
        self._heard += heard  # what is counted is done

    def _understand(self, data: bytes, into: list[Command]) -> int:
        """One datagram's commands; how many messages it held."""
        from pythonosc.osc_packet import OscPacket, ParseError

        try:
            messages = [timed.message for timed in OscPacket(data).messages][:PER_TURN]
        except (
            ParseError,
            ValueError,
            IndexError,
            UnicodeDecodeError,
            OverflowError,
            RecursionError,
        ) as error:
            self._failed(PhospheneError(f"a datagram that is no OSC message: {str(error)[:120]}"))
            return 0
        found = (self._command(message.address, list(message.params)) for message in messages)
        into += [command for command in found if command is not None]
        return len(messages)

    def _command(self, address: str, arguments: list[Any]) -> Command | None:
        try:
            return self._addresses.command(address, arguments)
        except PhospheneError as error:
            self._failed(error)
        except (ValueError, OverflowError) as error:
            self._failed(PhospheneError(f"{address[:80]}: {error}"))
        return None

    def _submit(self, command: Command) -> None:
        try:
            self._control.submit(command, "osc")
            self._error = None
        except PhospheneError as error:
            self._failed(error)

    def _failed(self, error: PhospheneError) -> None:
        self._error = error
        said, when = self._logged
        if said != error.message or time.monotonic() - when > SAY_S:
            self._logged = (error.message, time.monotonic())
            log.warning("OSC: %s", error.message)


def last_values(commands: list[Command]) -> list[Command]:
    """Of each live value that is set several times, between two other commands, only the last time."""
    kept: list[Command] = []
    places: dict[str, int] = {}
    for command in commands:
        if not isinstance(command, SetValue):
            places.clear()
        elif (place := places.get(command.key)) is not None:
            kept[place] = command
            continue
        else:
            places[command.key] = len(kept)
        kept.append(command)
    return kept
