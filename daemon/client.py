"""Talks to the running daemon over its own HTTP API on loopback. Light: no third-party import."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from daemon import places
from daemon.exit_codes import NotRunning, Refused
from pipeline.errors import PhospheneError

API: Final = "/api/v1"
TIMEOUT_S: Final = 5.0
START_IT: Final = "start it: phosphene start (or phosphene run)"


class Client:
    """One daemon. Every call opens a connection of its own; all raise NotRunning when nobody answers."""

    def __init__(self, address: str, token: str) -> None:
        """address: "http://127.0.0.1:8520"."""
        self.address = address
        self._token = token

    def get(self, path: str, timeout_s: float = TIMEOUT_S) -> Any:
        """The JSON answer of `GET /api/v1/…`."""
        return self._call("GET", path, None, timeout_s)

    def post(self, path: str, body: Any = None, timeout_s: float = TIMEOUT_S) -> Any:
        """The JSON answer of `POST /api/v1/…`. Raises Refused with the daemon's message and mend."""
        return self._call("POST", path, body, timeout_s)

    def send(self, method: str, path: str, body: Any = None, timeout_s: float = TIMEOUT_S) -> Any:
        """The JSON answer of any other method. Raises as `post`."""
        return self._call(method, path, body, timeout_s)

    def picture(self, path: str, timeout_s: float = 15.0) -> bytes:
        """The picture that `GET /api/v1/…` answers with. Raises Refused where it is none."""
        connection, response = self._open("GET", API + path, None, timeout_s)
        try:
            answer = response.read()
        finally:
            connection.close()
        if response.status != 200:
            raise _refusal(response.status, answer)
        return answer

    def command(self, **command: Any) -> dict[str, Any]:
        """Submit a Command given as its plain values; returns {"revision", "state"}."""
        answer: dict[str, Any] = self.post("/commands", command)
        return answer

    def healthy(self, timeout_s: float = 1.0) -> bool:
        """Whether the daemon answers at all. Needs no token."""
        try:
            connection, response = self._open("GET", "/healthz", None, timeout_s)
        except NotRunning:
            return False
        connection.close()
        return response.status == 200

    def events(self, timeout_s: float | None = None) -> Iterator[dict[str, Any]]:
        """Every event from now on, until the daemon ends."""
        connection, response = self._open("GET", f"{API}/events", None, timeout_s)
        try:
            if response.status != 200:
                raise _refusal(response.status, response.read())
            for line in response:
                if line.startswith(b"data:"):
                    yield json.loads(line[5:])
        finally:
            connection.close()

    def _call(self, method: str, path: str, body: Any, timeout_s: float) -> Any:
        connection, response = self._open(method, API + path, body, timeout_s)
        try:
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise NotRunning(f"phosphene stopped answering at {self.address}: {error}", START_IT) from None
        finally:
            connection.close()
        if response.status >= 400:
            raise _refusal(response.status, answer)
        try:
            return json.loads(answer) if answer else {}
        except ValueError:
            raise NotRunning(
                f"something else answers at {self.address}", "end it, or set another port: web.port"
            ) from None

    def _open(
        self, method: str, path: str, body: Any, timeout_s: float | None
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        parts = urlsplit(self.address)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
        headers = {"Authorization": f"Bearer {self._token}", "X-Phosphene-Client": "cli"}
        text = None if body is None else json.dumps(body)
        if text is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, text, headers)
            return connection, connection.getresponse()
        except TimeoutError:
            connection.close()
            raise NotRunning(
                f"phosphene does not answer at {self.address} within {timeout_s:g} s",
                "restart it: phosphene restart",
            ) from None
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise NotRunning(f"phosphene does not answer at {self.address}: {error}", START_IT) from None


def _refusal(status: int, answer: bytes) -> PhospheneError:
    try:
        error = json.loads(answer)["error"]
        message, mend = str(error["message"]), str(error.get("mend") or "")
    except (ValueError, KeyError, TypeError):
        message, mend = f"the daemon answered with status {status}", "see: phosphene logs"
    if status == 401:
        mend = "use the same user, and the same XDG_STATE_HOME, as the daemon"
    return Refused(message, mend)


def connect() -> Client:
    """The client of this user's daemon. Raises NotRunning when there is none, or not yet one that listens."""
    run = places.running()
    if run is None or not places.is_alive(run):
        raise NotRunning("phosphene is not running", START_IT)
    if not run.port:
        raise NotRunning(
            f"phosphene (process {run.pid}) is starting and does not listen yet", "try again in a second"
        )
    return Client(run.url, places.token())
