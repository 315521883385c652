"""The web server as clients meet it: real uvicorn on loopback, the real preview sink, a plain Control."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import logging
import re
import socket
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
import websockets.exceptions
from websockets.sync.client import connect

from integrations.web.limits import Limits
from integrations.web.openapi import document
from pipeline.errors import PhospheneError
from pipeline.messages import Event

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from fake_daemon import SIZE, FakeControl, FakeDaemon

QUICK = Limits(body_s=0.6, header_s=0.6, stalled_s=0.8, connections=24, streams=6, listeners=4)


@pytest.fixture(scope="module")
def daemon():
    with FakeDaemon() as running:
        yield running


@pytest.fixture
def quick():
    """A daemon with short patience."""
    with FakeDaemon(limits=QUICK) as running:
        yield running


@pytest.fixture
def client(daemon):
    with httpx.Client(base_url=daemon.address, headers=daemon.bearer, trust_env=False, timeout=10) as made:
        yield made


def until(true, seconds=10.0):
    """Wait for something that is about to become true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


# ---------------------------------------------------------------- addresses


def test_the_document_lists_every_address_with_its_methods(daemon):
    from integrations.web.api import Extras
    from integrations.web.auth import StreamKey
    from integrations.web.server import build_app

    nothing = Extras(config=dict, reload=dict, stop=lambda: None)
    app = build_app(
        FakeControl(), None, token="t", stream_key=StreamKey(), settings_schema={}, extras=nothing
    )
    served = {
        (route.path, method.lower())
        for route in app.routes
        for method in getattr(route, "methods", None) or ()
        if method != "HEAD" and not route.path.startswith("/page/") and route.path != "/"
    }
    described = {(path, method) for path, methods in document()["paths"].items() for method in methods}
    assert described == served


def test_only_healthz_and_the_page_answer_without_the_token(daemon):
    open_paths = {"/healthz"}
    for path, methods in document()["paths"].items():
        for method in methods:
            status = httpx.request(method, daemon.address + path, trust_env=False).status_code
            assert status == (200 if path in open_paths else 401), path
    assert httpx.get(daemon.address + "/", trust_env=False).status_code == 200


def test_reading(client):
    assert client.get("/healthz").json() == {"ok": True}
    assert client.get("/readyz").json()["ready"] is True
    status = client.get("/api/v1/status").json()
    assert status["engine"]["status"] == "ready"
    assert client.get("/api/v1/state").json()["revision"] == status["state"]["revision"]
    assert [style["name"] for style in client.get("/api/v1/styles").json()["styles"]][:2] == ["ink", "neon"]
    assert client.get("/api/v1/config").json() == {"source": {"kind": "webcam"}}
    schema = client.get("/api/v1/schema").json()
    assert {"strength", "seed"} <= {control["key"] for control in schema["controls"]}
    assert "model" in schema["settings"]["properties"]
    assert client.get("/api/v1/openapi.json").json() == json.loads(json.dumps(document()))


def test_not_ready_is_503(daemon, client):
    daemon.control.overrides = {"engine": {"status": "loading", "message": "reading weights"}}
    try:
        answer = client.get("/readyz")
    finally:
        daemon.control.overrides = {}
    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "engine": "loading", "message": "reading weights"}


def test_figures_for_prometheus(client):
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    figures = dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
    assert float(figures["phosphene_engine_ready"]) == 1
    assert 0.01 < float(figures['phosphene_latency_seconds{quantile="0.50"}']) < 1


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("POST", "/healthz", 405), ("PUT", "/api/v1/commands", 405)],
)
def test_wrong_addresses_and_methods_are_told_in_words(client, method, path, status):
    answer = client.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "mend"}


# ---------------------------------------------------------------- commands


def test_a_command_is_applied_and_heard_by_everybody(daemon, client):
    with (
        connect_socket(daemon) as ws,
        client.stream("GET", "/api/v1/events", headers={"Last-Event-ID": "0"}) as events,
    ):
        assert hear(ws, "state")["state"]["revision"] == daemon.control.state.revision
        before = daemon.control.state.revision
        body = {"command": "style", "name": "neon", "over_s": 1.5}
        answer = client.post("/api/v1/commands", json=body, headers={"X-Phosphene-Client": "cli"}).json()
        assert answer["revision"] == before + 1
        assert answer["state"]["style"]["name"] == daemon.control.state.style.name == "neon"
        told = hear(ws, "event", lambda m: m["event"]["data"].get("origin") == "cli")["event"]
        assert told["data"]["command"]["name"] == "neon"
        assert hear(ws, "state")["state"]["revision"] >= before + 1
        for line in events.iter_lines():
            if line.startswith("data:") and (data := json.loads(line[5:])).get("id") == told["id"]:
                assert data == told
                break


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"command": "style", "name": "nowhere"}, "nowhere"),
        ({"command": "style", "name": "ink", "extra": 1}, "extra"),
        ({"command": "style", "name": None}, "name"),
        ({"command": "set", "key": "strength", "value": 7}, "strength"),
        ({"command": "set", "key": "nothing", "value": 7}, "nothing"),
        ({"command": "mode", "mode": "party"}, "mode"),
        ([1, 2], "no such command"),
    ],
)
def test_a_command_that_cannot_be_applied_changes_nothing(daemon, client, body, said):
    before = daemon.control.state
    answer = client.post("/api/v1/commands", json=body)
    assert answer.status_code == 422
    assert said in answer.json()["error"]["message"]
    assert daemon.control.state == before


def test_bodies_are_bounded(daemon, client):
    before = daemon.control.state
    kind = {"content-type": "application/json"}
    huge = json.dumps({"command": "prompt", "prompt": "x" * 70_000}).encode()
    deep = b'{"command":' * 5_000 + b"1" + b"}" * 5_000
    assert client.post("/api/v1/commands", content=huge, headers=kind).status_code == 413
    assert client.post("/api/v1/commands", content=iter([huge[:9_000]] * 9), headers=kind).status_code == 413
    assert client.post("/api/v1/commands", content=deep, headers=kind).status_code == 400
    assert client.post("/api/v1/commands", content=b"", headers=kind).status_code == 400
    assert client.post("/api/v1/commands", content=b'{"command":"undo"}').status_code == 415
    assert client.post("/api/v1/commands", data={"command": "undo"}).status_code == 415
    assert daemon.control.state == before


def test_a_body_that_does_not_come_is_not_waited_for(quick):
    with socket.create_connection(("127.0.0.1", quick.port)) as raw:
        raw.sendall(
            head(quick, "POST /api/v1/commands", "Content-Type: application/json", "Content-Length: 40")
            + b'{"comm'
        )
        raw.settimeout(10)
        assert b" 408 " in raw.recv(1000)


def test_reload_answers_with_the_facts_or_the_mend():
    failing = [False]

    def reload():
        if failing[0]:
            raise PhospheneError("config.yaml, line 3: stlye is not a setting.", "Write style.")
        return {"changed": ["style"]}

    with FakeDaemon(reload=reload) as running:
        good = httpx.post(running.address + "/api/v1/reload", headers=running.bearer, trust_env=False)
        failing[0] = True
        bad = httpx.post(running.address + "/api/v1/reload", headers=running.bearer, trust_env=False)
    assert good.json()["reload"] == {"changed": ["style"]}
    assert good.json()["revision"] == 1
    assert bad.status_code == 422
    assert bad.json() == {
        "error": {"message": "config.yaml, line 3: stlye is not a setting.", "mend": "Write style."}
    }


def test_stop_answers_and_then_stops():
    with FakeDaemon() as running:
        answer = httpx.post(running.address + "/api/v1/stop", headers=running.bearer, trust_env=False)
        assert answer.status_code == 202
        running.join(10)
        assert running.stop_asked
        with pytest.raises(httpx.ConnectError):
            httpx.get(running.address + "/healthz", trust_env=False)


# ---------------------------------------------------------------- the WebSocket


@contextlib.contextmanager
def connect_socket(daemon, token=None, **given):
    with connect(f"ws://127.0.0.1:{daemon.port}/api/v1/ws", proxy=None, **given) as ws:
        with contextlib.suppress(
            websockets.exceptions.ConnectionClosed
        ):  # what is refused is refused at once
            ws.send(json.dumps({"token": daemon.token if token is None else token}))
        yield ws


def hear(ws, kind, fits=lambda message: True):
    end = time.monotonic() + 10
    while time.monotonic() < end:
        message = json.loads(ws.recv(timeout=10))
        if message["type"] == kind and fits(message):
            return message
    raise AssertionError(f"no {kind}")


def test_the_socket_takes_commands_and_tells_figures(daemon):
    with connect_socket(daemon) as ws:
        assert hear(ws, "status")["status"]["metrics"]["fps_in"] > 0
        ws.send(
            json.dumps(
                {"type": "command", "id": 7, "command": {"command": "set", "key": "seed", "value": 11}}
            )
        )
        answer = hear(ws, "answer")
        assert answer["id"] == 7
        assert answer["state"]["style"]["seed"] == daemon.control.state.style.seed == 11
        for wrong in (
            '{"type": "command", "id": 8, "command": {"command": "set"}}',
            '{"type": "?"}',
            "[",
            "",
            "7",
        ):
            ws.send(wrong)
            assert hear(ws, "answer")["error"]["message"]
        ws.send(b"\x00\xff")
        assert hear(ws, "answer")["error"]["message"]
        ws.send(json.dumps({"type": "command", "id": 9, "command": {"command": "undo"}}))
        assert "error" not in hear(ws, "answer")


@pytest.mark.parametrize(
    "first", ["{}", "[]", "nonsense", '{"token": 5}', '{"token": ""}', '{"token": "wrong"}', "[" * 9_000]
)
def test_the_socket_needs_the_token_first(daemon, first):
    with connect(f"ws://127.0.0.1:{daemon.port}/api/v1/ws", proxy=None) as ws:
        ws.send(first)
        with pytest.raises(websockets.exceptions.ConnectionClosedError) as closed:
            ws.recv(timeout=10)
        assert closed.value.rcvd.code == 4401


def test_the_stream_key_does_not_open_the_socket(daemon):
    with (
        connect_socket(daemon, token=daemon.key.value) as ws,
        pytest.raises(websockets.exceptions.ConnectionClosed),
    ):
        ws.recv(timeout=10)


def test_other_sites_cannot_open_the_socket(daemon):
    evil = connect_socket(daemon, origin="https://evil.example")
    with pytest.raises(websockets.exceptions.InvalidStatus) as refused, evil:
        pass
    assert refused.value.response.status_code == 403


def test_an_oversized_message_ends_the_socket_alone(daemon):
    with connect_socket(daemon) as ws, connect_socket(daemon) as other:
        ws.send("x" * 100_000)
        with pytest.raises(websockets.exceptions.ConnectionClosed):
            hear(ws, "nothing ever")
        assert hear(other, "status")


def test_the_number_of_listeners_is_bounded(quick):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(connect_socket(quick)) for _ in range(QUICK.listeners)]
        for ws in sockets:
            hear(ws, "status")
        extra = stack.enter_context(connect_socket(quick))
        with pytest.raises(websockets.exceptions.ConnectionClosed) as closed:
            extra.recv(timeout=10)
        assert closed.value.rcvd.code == 1013
        events = httpx.get(quick.address + "/api/v1/events", headers=quick.bearer, trust_env=False)
        assert events.status_code == 503


# ---------------------------------------------------------------- pictures


def parts(daemon, query="", headers=None, most=20.0):
    """(number, revision, JPEG) of /stream.mjpeg, read strictly by its own lengths."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=most)
    connection.request("GET", f"/stream.mjpeg{query}", headers=daemon.bearer if headers is None else headers)
    response = connection.getresponse()
    assert response.status == 200, response.read()
    boundary = re.search("boundary=(.*)", response.headers["content-type"])[1].encode()
    try:
        assert response.readline() == b"--" + boundary + b"\r\n"
        while True:
            fields = {}
            while (line := response.readline()) not in (b"\r\n", b""):
                name, _, value = line.decode().strip().partition(": ")
                fields[name.lower()] = value
            if not fields:
                return
            jpeg = response.read(int(fields["content-length"]))
            assert response.readline() == b"\r\n"
            assert response.readline() == b"--" + boundary + b"\r\n"
            yield int(fields["x-number"]), int(fields["x-revision"]), jpeg
    finally:
        connection.close()


def ended(opened):
    """Read what is left; True once the other side has closed."""
    opened.settimeout(10)
    with contextlib.suppress(ConnectionError):
        while opened.recv(1 << 20):
            pass
    return True


def decoded(jpeg):
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image


def test_the_stream_shows_newer_and_newer_pictures_and_follows_the_state(daemon, client):
    client.post("/api/v1/commands", json={"command": "mode", "mode": "styled"})
    numbers, stream = [], parts(daemon)
    for number, _, jpeg in stream:
        assert decoded(jpeg).shape == (SIZE.height, SIZE.width, 3)
        numbers.append(number)
        if len(numbers) == 5:
            break
    assert numbers == sorted(set(numbers))
    wanted = client.post("/api/v1/commands", json={"command": "style", "name": "oil"}).json()["revision"]
    assert any(revision >= wanted for _, revision, _ in stream)
    assert daemon.painter.preview.viewers == 1
    stream.close()
    until(lambda: daemon.painter.preview.viewers == 0)


def test_the_raw_stream_is_one_jpeg_after_the_other(daemon, client):
    with client.stream("GET", "/stream.jpegs") as response:
        assert response.headers["content-type"] == "video/x-motion-jpeg"
        raw = b""
        for chunk in response.iter_raw():
            raw += chunk
            if raw.count(b"\xff\xd9\xff\xd8") >= 3:
                break
    pictures = re.split(b"(?<=\xff\xd9)(?=\xff\xd8)", raw)[:3]
    assert [decoded(picture).shape[:2] for picture in pictures] == [(SIZE.height, SIZE.width)] * 3


def test_a_snapshot_is_a_png_of_the_full_size(daemon, client):
    answer = client.get("/snapshot.png")
    assert answer.headers["content-type"] == "image/png"
    assert decoded(answer.content).shape == (SIZE.height, SIZE.width, 3)
    by_key = httpx.get(f"{daemon.address}/snapshot.png?key={daemon.key.value}", trust_env=False)
    assert decoded(by_key.content).shape == (SIZE.height, SIZE.width, 3)


def test_the_stream_key_never_shows_the_cameras_own_picture(daemon, client):
    """The owner's stream goes on in bypass; the key's holds back until something painted comes."""
    key = f"?key={daemon.key.value}"
    shown, halt = [], threading.Event()

    def watch():
        for _, revision, _ in parts(daemon, key, {}):
            shown.append(revision)
            if halt.is_set():
                return

    watching = threading.Thread(target=watch)
    try:
        watching.start()
        until(lambda: shown)
        client.post("/api/v1/commands", json={"command": "mode", "mode": "bypass"})
        owner = parts(daemon)
        assert any(revision == 0 for _, revision, _ in owner)
        owner.close()
        refused = httpx.get(f"{daemon.address}/snapshot.png{key}", trust_env=False, timeout=10)
        assert refused.status_code == 503
        assert "own" in refused.json()["error"]["message"]
        so_far = len(shown)
    finally:
        styled = client.post("/api/v1/commands", json={"command": "mode", "mode": "styled"}).json()[
            "revision"
        ]
        until(lambda: shown and shown[-1] >= styled)
        halt.set()
        watching.join(10)
    assert 0 not in shown
    assert shown[so_far:]


def test_a_rotated_key_ends_the_streams_opened_with_the_old_one(daemon, client):
    old = client.get("/api/v1/stream-key").json()
    stream = parts(daemon, old["mjpeg"].removeprefix("/stream.mjpeg"), {})
    owner = parts(daemon)
    next(stream)
    next(owner)
    new = client.post("/api/v1/stream-key/rotate").json()
    assert new["key"] != old["key"]
    assert len(list(stream)) < 20
    assert httpx.get(daemon.address + old["mjpeg"], trust_env=False).status_code == 401
    next(owner)
    owner.close()
    fresh = parts(daemon, new["mjpeg"].removeprefix("/stream.mjpeg"), {})
    next(fresh)
    fresh.close()


def test_a_reader_that_does_not_read_is_dropped_and_holds_nobody(quick):
    with socket.create_connection(("127.0.0.1", quick.port)) as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.sendall(head(quick, "GET /stream.mjpeg"))
        until(lambda: quick.painter.preview.viewers == 1)
        numbers = []
        for number, _, _ in parts(quick):
            numbers.append(number)
            if quick.painter.preview.viewers == 1 and len(numbers) > 3:
                break  # ours is the one that is left
        assert numbers == sorted(set(numbers))
        assert ended(stuck)


def test_a_slow_reader_gets_the_newest_picture_not_a_queue():
    with FakeDaemon(limits=replace(QUICK, stalled_s=20.0)) as patient:
        stream = parts(patient)
        for _ in range(3):
            first, _, _ = next(stream)
        # What fits into the system's buffers (about a second) was taken before the pause; what follows is fresh.
        time.sleep(4)
        newest = patient.painter.preview.latest_jpeg().number
        read = [first]
        while read[-1] < newest:
            read.append(next(stream)[0])
        stream.close()
    jumps = [b - a for a, b in itertools.pairwise(read)]
    assert min(jumps) >= 1
    assert max(jumps) > (newest - first) / 4, "nothing was left out: that is a queue"


def test_too_many_streams_are_refused_and_the_others_go_on(quick):
    streams = [parts(quick) for _ in range(QUICK.streams)]
    for stream in streams:
        next(stream)
    answer = httpx.get(quick.address + "/stream.mjpeg", headers=quick.bearer, trust_env=False)
    assert answer.status_code == 503
    for stream in streams:
        next(stream)
        stream.close()
    until(lambda: quick.painter.preview.viewers == 0)
    next(parts(quick))


def test_without_a_preview_sink_the_streams_say_so():
    from starlette.testclient import TestClient

    from integrations.web.api import Extras
    from integrations.web.auth import StreamKey
    from integrations.web.server import build_app

    nothing = Extras(config=dict, reload=dict, stop=lambda: None)
    app = build_app(
        FakeControl(), None, token="t" * 20, stream_key=StreamKey(), settings_schema={}, extras=nothing
    )
    client = TestClient(
        app, base_url="http://127.0.0.1:8520", headers={"Authorization": "Bearer " + "t" * 20}
    )
    for path in ("/stream.mjpeg", "/stream.jpegs", "/snapshot.png"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert "preview" in answer.json()["error"]["mend"]


# ---------------------------------------------------------------- abuse


def head(daemon, request, *more):
    lines = [
        f"{request} HTTP/1.1",
        f"Host: 127.0.0.1:{daemon.port}",
        f"Authorization: Bearer {daemon.token}",
        *more,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def test_a_flood_of_connections_leaves_the_picture_alone(quick):
    stream = parts(quick)
    next(stream)
    flood = []
    try:
        for _ in range(400):
            with contextlib.suppress(OSError):
                flood.append(socket.create_connection(("127.0.0.1", quick.port), timeout=5))
        numbers = [next(stream)[0] for _ in range(5)]
        assert numbers == sorted(set(numbers))
    finally:
        for opened in flood:
            opened.close()
        stream.close()

    def answers():
        try:
            return httpx.get(quick.address + "/healthz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    until(answers)


def test_a_connection_without_a_request_is_closed(quick):
    for start in (
        b"",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET",
    ):
        with socket.create_connection(("127.0.0.1", quick.port)) as raw:
            raw.settimeout(10)
            raw.sendall(start)
            with contextlib.suppress(ConnectionError):
                while raw.recv(1000):
                    pass


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET " + b"/x" * 90_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 60_000 + b"\r\n",
        b"POST /api/v1/commands HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"GET /%ff%00/..%2f..%2fetc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /page/..%2fserver.py HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_nonsense_is_refused_and_nothing_breaks(quick, request_bytes):
    with socket.create_connection(("127.0.0.1", quick.port)) as raw:
        raw.settimeout(10)
        answer = b""
        with contextlib.suppress(ConnectionError):
            raw.sendall(request_bytes)
            answer = raw.recv(200)
        assert answer == b"" or 400 <= int(answer.split()[1]) < 500
    assert httpx.get(quick.address + "/healthz", trust_env=False).status_code == 200


def test_no_secret_reaches_a_log(daemon, client, caplog):
    caplog.set_level(logging.DEBUG)
    for name in ("uvicorn.error", "uvicorn.access", "websockets"):
        caplog.set_level(logging.DEBUG, logger=name)
    logging.getLogger("uvicorn.error").setLevel(logging.INFO)  # even if somebody turns it up later
    stream = parts(daemon, f"?key={daemon.key.value}", {})
    next(stream)
    stream.close()
    with connect(f"ws://127.0.0.1:{daemon.port}/api/v1/ws?key={daemon.key.value}", proxy=None) as ws:
        ws.send(json.dumps({"token": daemon.token}))
        hear(ws, "status")
    client.get("/api/v1/status?key=" + daemon.key.value)
    with socket.create_connection(("127.0.0.1", daemon.port)) as raw:
        raw.sendall(f"GET /stream.mjpeg?key={daemon.key.value} HTTP/1.1\r\nBad Header\r\n\r\n".encode())
        raw.recv(1000)
    ours = [
        r.getMessage()
        for r in caplog.records
        if not r.name.startswith(("httpx", "httpcore", "websockets.client"))
    ]
    assert not [line for line in ours if daemon.key.value in line or daemon.token in line]


# ---------------------------------------------------------------- start and stop


def test_stopping_is_quick_with_everything_open(caplog):
    with contextlib.ExitStack() as stack, FakeDaemon(limits=Limits(stalled_s=60)) as running:

        def opened(*lines):
            raw = stack.enter_context(socket.create_connection(("127.0.0.1", running.port)))
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            raw.sendall(head(running, *lines) if lines else b"")

        for _ in range(3):
            stream = parts(running)
            stack.callback(stream.close)
            next(stream)
        opened("GET /stream.mjpeg")  # never read
        opened("GET /api/v1/events")
        opened("POST /api/v1/commands", "Content-Type: application/json", "Content-Length: 9")
        for _ in range(5):
            opened()
        hear(stack.enter_context(connect_socket(running)), "status")
        stack.enter_context(connect(f"ws://127.0.0.1:{running.port}/api/v1/ws", proxy=None))  # says nothing
        until(lambda: running.painter.preview.viewers == 4)
        time.sleep(0.5)
        running.close()
        # The daemon has 3 s for everything.
        assert running.stopped_in_s < 2.5
        assert running.painter.preview.viewers == 0
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    with FakeDaemon(port=running.port):  # the port is free at once
        pass


def test_a_taken_port_is_told_with_the_mend(daemon):
    with pytest.raises(PhospheneError) as raised, FakeDaemon(port=daemon.port):
        pass
    assert str(daemon.port) in raised.value.message
    assert "web.port" in raised.value.mend


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.7"])
def test_an_impossible_address_is_told_with_the_mend(host):
    from integrations.web.server import listen

    with pytest.raises(PhospheneError) as raised:
        listen(host, 0)
    assert host in raised.value.message
    assert raised.value.mend


def test_an_event_from_any_thread_arrives(daemon):
    with connect_socket(daemon) as ws:
        hear(ws, "state")
        for level in ("info", "warning", "error"):
            thread = threading.Thread(
                target=daemon.control.emit,
                args=(Event("log", f"said {level}", {"path": Path("x"), "bad": float("nan")}, level),),
            )
            thread.start()
            told = hear(ws, "event", lambda m, level=level: m["event"]["message"] == f"said {level}")["event"]
            assert told["level"] == level
            assert told["data"] == {"path": "x", "bad": None}
