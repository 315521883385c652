"""The style bank over HTTP as the page uses it: tags, refusals, order, text forms, pictures, events."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from unittest import mock

import httpx
import pytest

from daemon.bank.live import StyleBank
from daemon.bank.pictures import StylePictures
from daemon.control import ControlHub
from daemon.playlist import Playlist
from daemon.settings import load

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from fake_daemon import FakeDaemon


@pytest.fixture
def bank(tmp_path):
    """(client, hub, pictures): the real server over the real bank and its file."""
    folders = {f"XDG_{name}_HOME": str(tmp_path / name.lower()) for name in ("CONFIG", "STATE")}
    with mock.patch.dict(os.environ, folders):
        hub = ControlHub(load({}, None, environment={}))
        styles, playlist = StyleBank(hub), Playlist(hub.settings.playlist, hub, hub.emit)
        hub.on_settings(lambda settings, _: playlist.adopt(settings.playlist))
        pictures = StylePictures(
            lambda: hub.settings,
            lambda: hub.state,
            lambda request: None,
            hub.emit,
            lambda: tmp_path / "pictures",
        )
        parts = {"bank": styles, "pictures": pictures, "playlist": playlist}
        with (
            FakeDaemon(parts=parts) as running,
            httpx.Client(
                base_url=running.address + "/api/v1", headers=running.bearer, trust_env=False
            ) as client,
        ):
            yield client, hub, pictures
        hub.close()


def names(answer):
    return [style["name"] for style in answer.json()["styles"]]


def test_a_style_s_life(bank):
    client, hub, _ = bank
    made = client.post("/styles", json={"name": "dusk", "prompt": "x", "colour": "teal", "before": "neon"})
    assert made.status_code == 201
    assert names(made).index("dusk") + 1 == names(made).index("neon")
    assert client.post("/styles", json={"name": "dusk", "prompt": "x"}).status_code == 409
    assert client.patch("/styles/dusk", json={"strength": 0.3}).status_code == 200
    assert client.get("/styles/dusk").json()["strength"] == 0.3
    assert client.get("/styles/dusk").json()["colour"] == "#12a594", "what was not named stays"
    assert client.put("/styles/dusk", json={"prompt": "y"}).status_code == 200
    assert client.get("/styles/dusk").json()["strength"] == 0.5, "PUT writes it whole"
    assert "night sky" in names(client.patch("/styles/dusk", json={"name": "night sky"}))
    assert client.get("/styles/night%20sky").json()["prompt"] == "y"
    assert client.delete("/styles/night%20sky").status_code == 200
    assert client.get("/styles/night%20sky").status_code == 404
    assert client.delete("/styles/neon").status_code == 200
    assert client.post("/styles/neon/reset").status_code == 200
    assert client.get("/styles/neon").json()["origin"] == "packaged"
    assert hub.settle()
    first = next(event for event in hub.recent_events() if event.kind == "styles")
    assert first.message == "style dusk added (api)"


def test_two_pages_cannot_overwrite_each_other(bank):
    client, _, _ = bank
    first = client.get("/styles")
    assert first.headers["etag"] == f'"{first.json()["tag"]}"'
    seen = {"If-Match": first.headers["etag"]}
    assert client.patch("/styles/neon", json={"seed": 1}, headers=seen).status_code == 200
    late = client.patch("/styles/neon", json={"seed": 2}, headers=seen)
    assert late.status_code == 412
    assert "read them again" in late.json()["error"]["mend"]
    assert client.get("/styles/neon").json()["seed"] == 1
    assert client.put("/playlist", json={"items": ["neon"]}, headers=seen).status_code == 412
    again = {"If-Match": client.get("/styles").headers["etag"]}
    assert client.patch("/styles/neon", json={"seed": 2}, headers=again).status_code == 200


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"strength": 7}, "0 to 1"),
        ({"strength": "0.4"}, "number"),
        ({"colour": "mauve"}, "#rrggbb"),
        ({"hotkey": "q"}, "ctrl+alt+1"),
        ({"promt": "x"}, "prompt"),
        ({"loras": {"a": "b"}}, "-4 to 4"),
        ([], "object"),
    ],
)
def test_what_is_wrong_is_said_with_its_mend(bank, body, word):
    client, _, _ = bank
    refused = client.patch("/styles/neon", json=body)
    assert refused.status_code == 422
    assert word in refused.json()["error"]["mend"] + refused.json()["error"]["message"]


def test_order_export_and_import(bank):
    client, _, _ = bank
    assert names(client.put("/style-order", json={"names": ["oil", "neon"]}))[:2] == ["oil", "neon"]
    text = client.get("/style-bank", params={"format": "yaml"})
    assert text.headers["content-type"].startswith("application/yaml")
    whole = client.get("/style-bank").json()
    yaml = {"Content-Type": "application/yaml"}
    few = "styles:\n  on: {prompt: 'yes'}  # YAML 1.2: text\n"
    assert names(client.post("/style-bank?replace=1", content=few, headers=yaml)) == ["on"]
    assert client.get("/styles/on").json()["prompt"] == "yes"
    assert client.post("/style-bank?replace=1", content=text.text, headers=yaml).status_code == 200
    assert client.get("/style-bank").json() == whole
    broken = client.post("/style-bank", content="styles: {a: {prompt: [}", headers=yaml)
    assert broken.status_code == 422
    assert "the body:1" in broken.json()["error"]["message"]
    bomb = "styles:\n  a: &a {prompt: x}\n" + "".join(f"  s{n}: *a\n" for n in range(30_000))
    assert client.post("/style-bank", content=bomb, headers=yaml).status_code == 422
    assert client.post("/style-bank", content=b"x" * 600_000, headers=yaml).status_code == 413


def test_pictures_are_there_by_and_by(bank):
    client, _, pictures = bank
    neon = client.get("/styles/neon").json()["picture"]
    assert neon["ready"] is False
    path = neon["address"].removeprefix("/api/v1")
    assert client.get(path).status_code == 202
    pictures._keep(pictures.key("neon"), b"\xff\xd8 a picture")
    got = client.get(path)
    assert (got.status_code, got.headers["content-type"], got.content) == (
        200,
        "image/jpeg",
        b"\xff\xd8 a picture",
    )
    assert client.get(path, headers={"If-None-Match": got.headers["etag"]}).status_code == 304
    assert client.get("/styles/neon").json()["picture"]["ready"] is True
    client.patch("/styles/neon", json={"seed": 9})
    assert client.get("/styles/neon").json()["picture"]["ready"] is False, "it would look different now"
    assert client.get("/styles/nein/picture").status_code == 404
    assert client.get("/styles/neon/picture?of=mars").status_code == 422


def test_the_stream_key_opens_none_of_it(bank):
    client, _, _ = bank
    without = httpx.Client(base_url=client.base_url, trust_env=False)
    with without:
        for path in ("/styles", "/styles/neon/picture", "/style-bank", "/playlist", "/devices", "/midi"):
            assert without.get(path).status_code == 401
