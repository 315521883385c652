"""Secrets, the door of the web server, and the bounds that need no socket."""

from __future__ import annotations

import asyncio
import json
import math
import os
import stat
import string

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse

from integrations.commands import COMMANDS, LARGEST_INT
from integrations.token_bucket import TokenBucket
from integrations.web.auth import StreamKey, load_secret, same_secret
from integrations.web.body import parse_json, read_command
from integrations.web.controls import controls
from integrations.web.errors import RefusedError
from integrations.web.guard import Guard, host_name
from integrations.web.hub import Hub
from integrations.web.limits import Limits, Rates, Seats
from integrations.web.prometheus import metrics_text
from pipeline.errors import PhospheneError
from pipeline.messages import Event, LiveState, SetPrompt, SetStyle, Style, to_dict

TOKEN = "t" * 43
UNBOUNDED = Limits(requests_rate=1e6, requests_burst=1e6, refusals_rate=1e6, refusals_burst=1e6)
PRIVATE = ("status", "commands", "stop", "stream-key", "events", "config", "reload", "stream-key/rotate")


# ---------------------------------------------------------------- secrets


def test_a_secret_is_made_once_and_kept_private(tmp_path):
    path = tmp_path / "state" / "token"
    secret = load_secret(path)
    assert len(secret) >= 43
    assert load_secret(path) == secret
    assert list(path.parent.iterdir()) == [path]
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_a_secret_that_others_could_read_is_closed_again(tmp_path):
    path = tmp_path / "token"
    secret = load_secret(path)
    path.chmod(0o644)
    assert load_secret(path) == secret
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content", [b"", b"short", b"\xff\xfe" * 20, b"two words of a secret here", b"x" * 20 + b"\n" + b"y" * 9]
)
def test_a_damaged_secret_is_refused_with_the_mend(tmp_path, content):
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(PhospheneError) as raised:
        load_secret(path)
    assert str(path) in raised.value.message
    assert str(path) in raised.value.mend
    assert path.read_bytes() == content


def test_a_folder_in_the_secrets_place_is_refused(tmp_path):
    with pytest.raises(PhospheneError):
        load_secret(tmp_path)


def test_rotating_replaces_the_key_on_disk(tmp_path):
    path = tmp_path / "stream-key"
    key = StreamKey(path)
    old = key.value
    told = []
    key.on_rotate(lambda: told.append(key.value))
    new = key.rotate()
    assert new != old
    assert key.fits(new)
    assert not key.fits(old)
    assert told == [new]
    assert StreamKey(path).value == new


@given(st.text(), st.text())
def test_secrets_are_compared_whole(given, expected):
    assert same_secret(given, expected) == (given == expected and given != "")


# ---------------------------------------------------------------- the door


class Door:
    """A Guard before an application that says yes to everything."""

    def __init__(self, *, hosts=(), limits=None, server=("127.0.0.1", 8520)):
        self.key = StreamKey()
        self._server = server
        self._guard = Guard(
            PlainTextResponse("in"),
            token=TOKEN,
            stream_key=self.key,
            allowed_hosts=hosts,
            public=["/healthz", "/"],
            socket_path="/api/v1/ws",
            limits=limits or UNBOUNDED,
        )

    def ask(self, path, headers=(), *, host="127.0.0.1:8520", query="", kind="http", client="127.0.0.1"):
        given = [("host", host)] if host is not None else []
        given += list(headers.items() if isinstance(headers, dict) else headers)
        scope = {
            "type": kind,
            "method": "GET",
            "path": path,
            "scheme": "ws" if kind == "websocket" else "http",
            "query_string": query.encode("latin-1"),
            "headers": [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in given],
            "server": self._server,
            "client": (client, 50000),
        }
        sent = []

        async def receive():
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        asyncio.run(self._guard(scope, receive, send))
        self.sent = sent
        return sent[0].get("status", sent[0]["type"])


BEARER = {"authorization": f"Bearer {TOKEN}"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        (BEARER, 200),
        ({"authorization": f"bearer {TOKEN}"}, 200),
        ({"authorization": f"Bearer {TOKEN}x"}, 401),
        ({"authorization": f"Bearer {TOKEN[:-1]}"}, 401),
        ({"authorization": TOKEN}, 401),
        ({"authorization": f"Basic {TOKEN}"}, 401),
        ({"authorization": "Bearer "}, 401),
        ({"authorization": "Bearer \xff\xfe"}, 401),
    ],
)
def test_everything_needs_the_token(headers, status):
    door = Door()
    others = ("/metrics", "/readyz", "/nothing", "/healthz/", "//healthz", "/page/../api/v1/status")
    for path in (*others, *(f"/api/v1/{name}" for name in PRIVATE)):
        assert door.ask(path, headers) == status


def test_the_page_and_healthz_need_no_token():
    door = Door()
    assert door.ask("/") == 200
    assert door.ask("/healthz") == 200


def test_the_stream_key_opens_the_streams_and_nothing_else():
    door = Door()
    key = door.key.value
    for path in ("/stream.mjpeg", "/stream.jpegs", "/snapshot.png"):
        assert door.ask(path) == 401
        assert door.ask(path, query=f"key={key}") == 200
        assert door.ask(path, query=f"key={key}x") == 401
        assert door.ask(path, query=f"key={TOKEN}") == 401
        assert door.ask(path, BEARER) == 200
    for path in ("/metrics", "/camera.mjpeg", *(f"/api/v1/{name}" for name in PRIVATE)):
        assert door.ask(path, query=f"key={key}") == 401
        assert door.ask(path, {"authorization": f"Bearer {key}"}) == 401
    door.key.rotate()
    assert door.ask("/stream.mjpeg", query=f"key={key}") == 401


@pytest.mark.parametrize("query", ["&" * 100 + "a=1" * 50, "key", "key=%ff", "key=&key=", "a=1&" * 40])
def test_odd_queries_are_refused_and_nothing_more(query):
    assert Door().ask("/stream.mjpeg", query=query) == 401


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8520", 200),
        ("localhost:8520", 200),
        ("LOCALHOST", 200),
        ("localhost.:8520", 200),
        ("[::1]:8520", 200),
        ("studio.lan:8520", 200),
        ("evil.example", 421),
        ("evil.example:8520", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example", 421),
        ("192.168.1.20:8520", 421),
        ("", 400),
        (None, 400),
        ("[::1", 400),
        ("localhost:80a", 400),
        ("user@localhost:8520", 421),
    ],
)
def test_the_host_header_must_name_this_machine(host, status):
    assert Door(hosts=["Studio.lan"]).ask("/healthz", host=host) == status


def test_the_address_a_connection_came_in_by_may_be_named():
    door = Door(server=("192.168.1.20", 8520))
    assert door.ask("/healthz", host="192.168.1.20:8520") == 200
    assert door.ask("/healthz", host="192.168.1.21:8520") == 421
    assert door.ask("/healthz", host="evil.example") == 421


def test_two_host_headers_are_refused():
    assert Door().ask("/healthz", [("host", "evil.example")]) == 400


@given(st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40))
def test_no_other_host_name_passes(name):
    status = Door().ask("/healthz", host=name)
    known = {"localhost", "127.0.0.1", "::1"}
    assert (status == 200) == (host_name(name) in known)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://127.0.0.1:8520"}, 200),
        ({"origin": "http://localhost:8520"}, 403),
        ({"origin": "http://127.0.0.1:3000"}, 403),
        ({"origin": "https://127.0.0.1:8520"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "anything"}, 403),
    ],
)
def test_other_sites_are_refused_even_with_the_token(headers, status):
    door = Door()
    for path in ("/api/v1/status", "/stream.mjpeg", "/", "/healthz"):
        assert door.ask(path, headers | BEARER) == status


def test_the_sockets_origin_is_checked_before_it_opens():
    door = Door()
    assert door.ask("/api/v1/ws", {"origin": "https://evil.example"}, kind="websocket") == "websocket.close"
    assert door.ask("/api/v1/other", kind="websocket") == "websocket.close"


def test_every_answer_carries_the_security_headers():
    door = Door()
    for path, headers in (("/", {}), ("/api/v1/status", {}), ("/api/v1/status", BEARER)):
        door.ask(path, headers)
        sent = {k.decode(): v.decode() for k, v in door.sent[0]["headers"]}
        policy = sent["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert sent["x-content-type-options"] == "nosniff"
        assert sent["referrer-policy"] == "no-referrer"
        assert sent["cross-origin-resource-policy"] == "same-origin"


def test_requests_are_bounded_for_each_client():
    door = Door(limits=Limits(requests_rate=0.001, requests_burst=5))
    statuses = [door.ask("/api/v1/status", BEARER) for _ in range(7)]
    assert statuses == [200] * 5 + [429] * 2
    assert door.ask("/api/v1/status", BEARER, client="127.0.0.2") == 200


def test_guessing_is_bounded_and_does_not_lock_the_owner_out():
    door = Door(limits=Limits(refusals_rate=0.001, refusals_burst=3))
    guesses = [door.ask("/api/v1/status", {"authorization": f"Bearer {n}"}) for n in range(5)]
    assert guesses == [401] * 3 + [429] * 2
    assert door.ask("/api/v1/status", BEARER) == 200


# ---------------------------------------------------------------- bounds


def test_a_bucket_refills_at_its_rate():
    now = [0.0]
    bucket = TokenBucket(rate=2.0, burst=3.0, clock=lambda: now[0])
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    now[0] = 0.49
    assert not bucket.take()
    now[0] = 1.02
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    now[0] = 1e9
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]


def test_the_number_of_remembered_clients_is_bounded():
    rates = Rates(0.001, 1, addresses=10)
    assert all(rates.take(f"10.0.0.{n}") for n in range(100))
    assert len(rates._buckets) == 10
    assert not rates.take("10.0.0.99")


def test_seats_are_given_back():
    seats = Seats(2)
    with seats.take() as first, seats.take() as second, seats.take() as third:
        assert (first, second, third) == (True, True, False)
        assert seats.taken == 2
    assert seats.taken == 0
    with pytest.raises(ZeroDivisionError), seats.take():
        1 / 0  # noqa: B018
    assert seats.taken == 0


# ---------------------------------------------------------------- JSON in


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"\xff",
        b"NaN",
        b'{"a": Infinity}',
        b"1e999",
        b'"\\ud800"',
        b"[" * 60_000,
        b'{"a":' * 9_000 + b"1" + b"}" * 9_000,
        b"9" * 5_000,
        str(LARGEST_INT + 1).encode(),
        b'"' + b"x" * 8_001 + b'"',
        b'{"' + b"x" * 8_001 + b'": 1}',
    ],
)
def test_what_is_not_moderate_json_is_refused(raw):
    with pytest.raises(RefusedError) as raised:
        parse_json(raw)
    assert 400 <= raised.value.status < 500


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_json_comes_out_as_it_went_in(value):
    try:
        raw = json.dumps(value).encode()
    except UnicodeEncodeError:
        return
    assert parse_json(raw) == value


@given(
    JSON,
    st.sampled_from(sorted(COMMANDS)),
    st.sets(st.sampled_from(["name", "key", "value", "prompt", "by"])),
)
def test_no_json_makes_anything_but_a_command_or_a_refusal(value, name, keys):
    for data in (value, {"command": name} | dict.fromkeys(keys, value)):
        status = 200
        try:
            command = read_command(data)
        except RefusedError as refused:
            status = refused.status
        else:
            assert to_dict(command)["command"] == data["command"]
        assert status in (200, 422)


def test_commands_are_read():
    assert read_command({"command": "style", "name": "ink", "over_s": 1}) == SetStyle("ink", 1.0)
    assert read_command({"command": "prompt", "prompt": "a"}) == SetPrompt("a")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"command": "style", "name": "ink", "nme": 1}, "nme"),
        ({"command": "style"}, "name"),
        ({"command": "style", "name": 3}, "name"),
        ({"command": "mode", "mode": "loud"}, "mode"),
        ({"command": "dance"}, "no such command"),
        ({"command": ["style"]}, "no such command"),
        ([], "no such command"),
        (None, "no such command"),
    ],
)
def test_a_wrong_command_is_named(data, said):
    with pytest.raises(RefusedError, match=said):
        read_command(data)


# ---------------------------------------------------------------- controls, figures, events


def test_every_live_setting_becomes_a_control_with_its_bounds():
    from daemon.settings import Settings

    found = {control["key"]: control for control in controls(Settings.model_json_schema())}
    assert found["strength"] == found["strength"] | {
        "of": "style",
        "type": "number",
        "minimum": 0,
        "maximum": 1,
    }
    assert found["guidance"]["choices"] == ["none", "full", "self", "onetime"]
    assert found["similarity"]["type"] == "boolean"
    assert found["similarity_threshold"]["of"] == "state"
    assert found["similarity_metric"]["choices"] == ["tiles", "global"]
    assert "max_skip_frames" in found
    assert "morph_s" in found
    assert not {"fps", "port", "on_fault", "name"} & set(found)
    live = set(to_dict(LiveState())) | set(to_dict(Style()))
    assert set(found) <= live
    assert all(control["help"] for control in found.values())


@given(
    st.dictionaries(
        st.sampled_from(["metrics", "engine", "state", "sinks", "uptime_s", "mode"]),
        JSON | st.just({"latency_ms": {"p50": math.nan, "p99": None}, "fps_in": 3, "skipped": 10**9}),
    )
)
@hypothesis_settings(deadline=None)
def test_figures_survive_any_status(status):
    text = metrics_text(status, 3)
    assert "phosphene_streams 3.0" in text
    for line in text.splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            float(value)
            assert name[0] in string.ascii_letters


def test_a_large_counter_is_not_rounded():
    assert "phosphene_dropped_total 1.23456789e+08" in metrics_text({"metrics": {"dropped": 123456789}}, 0)


class Told:
    """A Control that only tells."""

    def subscribe(self, listener):
        self.tell = listener
        return lambda: setattr(self, "tell", None)


def test_a_slow_listener_misses_the_oldest_and_is_told_so():
    async def listen():
        control = Told()
        hub = Hub(control, queue_size=4)
        hub.open()
        with hub.listener() as slow, hub.listener() as quick:
            heard = []
            for number in range(10):
                control.tell(Event("log", f"event {number}"))
                await asyncio.sleep(0)
                heard += await quick.next(1)
            late = await slow.next(1)
            with hub.listener(after=7) as later:
                rest = await later.next(1)
            hub.close()
            assert slow.ended
            assert quick.ended
        assert control.tell is None
        return heard, late, rest

    heard, late, rest = asyncio.run(listen())
    assert [event["message"] for event in heard] == [f"event {n}" for n in range(10)]
    assert late[0]["data"] == {"missed": 6}
    assert [event["message"] for event in late[1:]] == [f"event {n}" for n in range(6, 10)]
    assert [event["id"] for event in rest] == [8, 9, 10]
