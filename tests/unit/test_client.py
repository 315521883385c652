"""The CLI's client against real sockets: a daemon, a stranger, silence, nobody."""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from daemon.client import Client
from daemon.exit_codes import NotRunning, Refused


class Daemon(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.headers.get("Authorization") != "Bearer right" and self.path != "/healthz":
            self.answer(401, {"error": {"message": "wrong token", "mend": ""}})
        elif self.path == "/api/v1/events":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b': hello\nid: 1\ndata: {"kind": "state"}\n\ndata: {"kind": "engine"}\n\n')
        elif self.path == "/api/v1/page":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>not JSON</html>")
        else:
            self.answer(200, {"path": self.path, "client": self.headers.get("X-Phosphene-Client")})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if body.get("name") == "bad":
            self.answer(
                422, {"error": {"message": "there is no style 'bad'", "mend": "did you mean 'good'?"}}
            )
        else:
            self.answer(200, {"revision": 2, "state": body})

    def answer(self, status, facts):
        text = json.dumps(facts).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


@pytest.fixture(scope="module")
def address():
    with ThreadingHTTPServer(("127.0.0.1", 0), Daemon) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_answers_come_back(address):
    client = Client(address, "right")
    assert client.get("/status") == {"path": "/api/v1/status", "client": "cli"}
    assert client.command(command="style", name="ink")["state"] == {"command": "style", "name": "ink"}
    assert client.healthy()
    assert [event["kind"] for event in client.events()] == ["state", "engine"]


def test_refusals_keep_message_and_mend(address):
    with pytest.raises(Refused) as caught:
        Client(address, "right").command(command="style", name="bad")
    assert caught.value.message == "there is no style 'bad'"
    assert caught.value.mend == "did you mean 'good'?"
    with pytest.raises(Refused, match="same user"):
        Client(address, "wrong").get("/status")


def test_a_stranger_on_the_port(address):
    with pytest.raises(NotRunning, match="something else answers"):
        Client(address, "right").get("/page")


def test_silence_and_nobody():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(NotRunning, match="restart"):
            Client(address, "x").get("/status", timeout_s=0.2)
        assert not Client(address, "x").healthy(0.2)
    with pytest.raises(NotRunning, match="does not answer"):
        Client(address, "x").get("/status")
