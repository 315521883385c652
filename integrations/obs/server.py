"""Where OBS's WebSocket server is to be found, and what opens it."""

from __future__ import annotations

from dataclasses import dataclass, field

from integrations.obs.options import DEFAULT_PORT, Options
from integrations.obs.own_config import own_config


@dataclass(frozen=True, slots=True)
class Server:
    """password_from: `obs.password`, OBS's file, or "" where there is no password. off_in: the file in which
    OBS's own settings say that the server is off; "" otherwise."""

    host: str
    port: int
    password: str = field(repr=False, default="")
    password_from: str = ""
    off_in: str = ""

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


def find_server(options: Options) -> Server:
    """As configured; what is left open comes from OBS's own settings when OBS runs on this computer."""
    own = own_config() if options.host in ("127.0.0.1", "localhost", "::1") else None
    port = options.port if options.port != "auto" else own.port if own else DEFAULT_PORT
    off_in = str(own.file) if own and not own.enabled and own.port == port else ""
    if given := options.password.get_secret_value():
        return Server(options.host, port, given, "obs.password", off_in)
    if own and own.password:
        return Server(options.host, port, own.password, str(own.file), off_in)
    return Server(options.host, port, off_in=off_in)
