"""The style bank of a real daemon, from the command line, by hand and over HTTP: seen in its file and its pictures."""

from __future__ import annotations

import json
import time
import urllib.request

import cv2
import numpy as np
import pytest
from PIL import Image

CONFIG = """
source: {kind: demo, width: 320, height: 180}
sinks: [preview, "null"]
output: {size: 320x180}
similarity: {enabled: false}
obs: {enabled: false}
engine: {kind: eager}
style: ink
styles:
  ink: {prompt: pencil sketch}
  heat: {prompt: thermal camera}
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory, daemon_in):
    made = daemon_in(tmp_path_factory.mktemp("daemon"))
    made.environment["XDG_CACHE_HOME"] = str(made.home / "cache")
    folder = made.home / "config" / "phosphene"
    folder.mkdir()
    (folder / "config.yaml").write_text(CONFIG)
    with made.start():
        made.wait(lambda s: s["engine"]["status"] == "ready" and s["metrics"]["frames"] > 3, 150)
        yield made
        assert made.end() == 0


def ask(running, path, method="GET", body=None):
    address = running.status()["address"]
    token = (running.home / "state" / "phosphene" / "token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{address}/api/v1{path}", data, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.status, answer.read()


def names(running):
    return [style["name"] for style in json.loads(running.command("styles", "--json").stdout)["styles"]]


def test_a_style_from_the_command_line_is_there_at_once_and_can_be_painted(running):
    running.command(
        "styles",
        "add",
        "dusk",
        "oil painting, in warm sunset colors",
        "--colour",
        "orange",
        "--before",
        "ink",
    )
    assert names(running).index("dusk") == names(running).index("ink") - 1
    assert "dusk" in (running.home / "config" / "phosphene" / "styles.yaml").read_text()
    running.command("style", "dusk")
    frames = running.status()["metrics"]["frames"]
    running.wait(lambda s: s["style"] == "dusk" and s["metrics"]["frames"] > frames)
    running.command("styles", "edit", "dusk", "--strength", "0.7")
    assert running.status()["state"]["style"]["strength"] == 0.7, "the running look follows"
    done = running.command("styles", "edit", "dusk", "--strength", "7", check=False)
    assert done.returncode == 8
    assert "0 to 1" in done.stderr
    running.command("styles", "remove", "dusk")
    assert "dusk" not in names(running)


def test_the_file_may_be_edited_by_hand_and_a_fault_keeps_the_old_bank(running):
    path = running.home / "config" / "phosphene" / "styles.yaml"
    path.write_text("styles:\n  mine: {prompt: neon cyberpunk}  # by hand\n")
    deadline = time.monotonic() + 60
    while "mine" not in names(running):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    path.write_text("styles:\n  mine: {prompt: neon cyberpunk, strength: much}\n")
    deadline = time.monotonic() + 60
    while "styles.yaml:2" not in running.output:
        assert time.monotonic() < deadline, running.output
        time.sleep(0.2)
    assert "mine" in names(running)
    path.write_text("styles:\n  mine: {prompt: neon cyberpunk}  # by hand\n")
    running.command("reload")
    running.command("styles", "edit", "mine", "--seed", "5")
    assert "# by hand" in path.read_text()


def test_pictures_are_painted_while_the_stream_goes_on(running):
    frames = running.status()["metrics"]["frames"]
    status, _ = ask(running, "/styles/heat/picture")
    assert status == 202, "it is painted by and by"
    deadline = time.monotonic() + 120
    while (got := ask(running, "/styles/heat/picture"))[0] != 200:
        assert time.monotonic() < deadline
        time.sleep(0.3)
    heat = cv2.imdecode(np.frombuffer(got[1], np.uint8), cv2.IMREAD_COLOR)
    assert heat.shape == (160, 256, 3)
    assert (heat.max(2).astype(int) - heat.min(2)).mean() > 40, "a thermal picture has colours"
    live = cv2.imdecode(
        np.frombuffer(ask(running, "/styles/ink/picture?of=live")[1], np.uint8), cv2.IMREAD_COLOR
    )
    assert (live.max(2).astype(int) - live.min(2)).mean() < 40, "a pencil sketch has few"
    running.wait(lambda s: s["metrics"]["frames"] > frames + 3)
    status = running.status()
    assert status["engine"]["restarts"] == 0
    assert status["metrics"]["invalid"] == 0


def test_a_sheet_of_the_live_camera(running, tmp_path):
    out = tmp_path / "live.png"
    said = running.command("styles", "sheet", str(out), "ink", "heat", "--live").stdout
    assert said.startswith("2 pictures")
    with Image.open(out) as sheet:
        assert sheet.width > 2 * 256
    done = running.command("styles", "sheet", str(out), "--live", "--original", check=False)
    assert "your real face" in done.stderr


def test_the_source_and_sinks_change_while_it_runs(running):
    ask(running, "/source", "POST", {"source": "test_pattern"})
    running.wait(lambda s: s["source"]["kind"] == "test_pattern" and s["source"]["status"] == "open")
    running.command("styles", "edit", "ink", "--seed", "1")  # reads the configuration again: the source stays
    assert running.status()["source"]["kind"] == "test_pattern"
    movie = running.home / "out.mp4"
    added = json.loads(ask(running, "/sinks", "POST", {"sink": f"recorder:{movie}"})[1])["sink"]
    running.wait(lambda s: any(k["kind"] == "recorder" and k["sent"] > 5 for k in s["sinks"]))
    left = json.loads(ask(running, f"/sinks/{added['id']}", "DELETE")[1])["sinks"]
    assert [sink["kind"] for sink in left] == ["preview", "null"]
    assert cv2.VideoCapture(str(movie)).read()[0], "the recording can be played"
    devices = json.loads(ask(running, "/devices")[1])
    assert {"webcam", "demo"} <= {kind["kind"] for kind in devices["sources"]}
    ask(running, "/source", "POST", {"source": "demo"})
    source = running.wait(lambda s: s["source"]["kind"] == "demo" and s["source"]["status"] == "open")[
        "source"
    ]
    assert source["restarts"] == 0, "a change that was asked for is no failure"


def test_a_playlist_plays_pauses_with_panic_and_stops(running):
    running.command("playlist", "set", "heat for 1s", "ink for 1s", "--over", "0", "--loop")
    running.command("playlist", "start")
    first = running.wait(lambda s: s["playlist"]["status"] == "playing")["style"]
    running.wait(lambda s: s["style"] != first, 20)
    running.command("panic")
    running.wait(lambda s: s["playlist"]["waits"])
    revision = running.status()["revision"]
    time.sleep(2.2)
    assert running.status()["revision"] == revision, "nothing changes behind the card"
    running.command("resume")
    running.wait(lambda s: s["revision"] > revision + 1, 20)
    running.command("do", "playlist", "stop")
    assert running.status()["playlist"]["status"] == "stopped"


def test_export_and_import_on_another_computer(running, daemon_in, tmp_path):
    file = tmp_path / "bank.yaml"
    running.command("styles", "export", str(file))
    other = daemon_in(tmp_path)
    other.command("styles", "import", str(file), "--replace")
    assert names(other) == names(running)


def test_a_sheet_without_a_daemon(daemon_in, tmp_path):
    alone = daemon_in(tmp_path)
    out, picture = tmp_path / "sheet.png", tmp_path / "me.png"
    Image.fromarray(np.random.default_rng().integers(0, 256, (90, 160, 3), np.uint8)).save(picture)
    said = alone.command(
        "styles", "sheet", str(out), "pencil", "thermal", "--original", "--picture", str(picture)
    ).stdout
    assert said.startswith("3 pictures")
    with Image.open(out) as sheet:
        image = np.asarray(sheet.convert("RGB")).astype(int)
    width, height = 320, 192
    gap, label = 18, 46

    def cell(n):
        x, y = gap + n % 3 * (width + gap), gap + n // 3 * (height + gap + label)
        return image[y : y + height, x : x + width]

    colour = [float((cell(n).max(2) - cell(n).min(2)).mean()) for n in (1, 2)]
    assert colour[1] > colour[0] + 20, "the thermal picture has more colour than the sketch"
