"""Small parts around the commands."""

import threading

import pytest

from daemon.cli.status_line import line
from daemon.commands import live, show
from daemon.commands.status import rows
from daemon.config.watch import ConfigWatch
from daemon.exit_codes import Refused

STATUS = {
    "mode": "styled",
    "style": "ink",
    "prompt": "ink drawing",
    "revision": 3,
    "engine": {"status": "ready"},
    "source": {"kind": "webcam", "status": "open", "error": "unplugged", "mend": "plug it in"},
    "sinks": [{"kind": "null", "status": "open", "detail": "nothing"}],
    "metrics": {
        "fps_in": 29.97,
        "fps_engine": 23.4,
        "fps_out": 30,
        "latency_ms": {"p50": 48.2, "p99": 71.9},
        "skipped": 12,
        "dropped": 3,
    },
}


def test_status_line():
    said = line(STATUS)
    assert said == "ink | 30 in, 23 painted, 30 out fps | p50 48 p99 72 ms | 12 skipped | 3 dropped"
    assert "PANIC" in line({**STATUS, "mode": "panic"})
    assert "engine: text encoder 40%" in line(
        {"engine": {"status": "loading", "message": "text encoder", "progress": 0.4}}
    )
    assert line({})


def test_status_rows_tell_faults_with_their_mend():
    text = "\n".join(" ".join(row) for row in rows({**STATUS, "needs_restart": ["output.size"]}))
    for words in ("unplugged", "→ plug it in", "revision 3", "30.0 in, 23.4 painted", "output.size"):
        assert words in text
    assert rows({})


@pytest.mark.parametrize(
    ("text", "seconds"), [("2s", 2), ("500ms", 0.5), ("1.5", 1.5), ("1min", 60), (" 0 ", 0)]
)
def test_times(text, seconds):
    assert live.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1", "2h", "1e9", "nan"])
def test_what_is_not_a_time(text):
    with pytest.raises(Refused, match="not a time"):
        live.seconds(text)


@pytest.mark.parametrize(("seconds", "said"), [(0, "0 s"), (61, "1 min 1 s"), (90000, "1 d 1 h")])
def test_durations(seconds, said):
    assert show.duration(seconds) == said


def test_config_watch_sees_a_new_a_changed_and_a_replaced_file(tmp_path):
    path, seen = tmp_path / "config.yaml", threading.Semaphore(0)
    watch = ConfigWatch(path, seen.release, period_s=0.02)
    watch.start()
    path.write_text("a: 1\n")
    assert seen.acquire(timeout=10)
    path.write_text("a: 22\n")
    assert seen.acquire(timeout=10)
    (tmp_path / "new").write_text("a: 333\n")
    (tmp_path / "new").replace(path)
    assert seen.acquire(timeout=10)
    path.unlink()
    assert not seen.acquire(timeout=0.3)
    watch.stop()
