"""The program goes over from the eager engine to a compiled one while it paints."""

from __future__ import annotations

import importlib.util
import json
import signal

import pytest

from tests.process.test_life import gone

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="OpenVINO has no wheel for this machine"
)

RUN = ("--source", "test_pattern", "--sink", "null", "--size", "320x240")


def test_the_compiled_engine_takes_over_and_stays_through_live_changes(daemon):
    daemon.environment["XDG_CACHE_HOME"] = str(daemon.home / "cache")  # nothing has been built before
    daemon.start(*RUN)
    assert daemon.wait(lambda s: s["engine"]["status"] == "ready")["engine"]["kind"] == "eager"
    status = daemon.wait(lambda s: s["engine"]["kind"] == "openvino", 200)
    assert status["engine"]["refused"] == {}
    assert "openvino paints from now on" in daemon.output
    assert "openvino engine" in daemon.command("status").stdout
    daemon.command("prompt", "oil painting")
    daemon.command("set", "strength", "0.6")
    revision = json.loads(daemon.command("status", "--json").stdout)["revision"]
    after = daemon.wait(lambda s: s["metrics"]["shown_revision"] >= revision)
    assert after["engine"]["kind"] == "openvino"
    assert after["engine"]["restarts"] == 0
    assert daemon.end() == 0

    daemon.start(*RUN)
    daemon.wait(lambda s: s["engine"].get("kind") == "openvino", 60)
    assert len(list((daemon.home / "cache").rglob("done.json"))) == 1


def test_an_engine_that_this_machine_cannot_use_is_said_and_eager_paints(daemon):
    daemon.environment["PHOSPHENE_ENGINE__KIND"] = "tensorrt"
    daemon.start(*RUN)
    status = daemon.wait(lambda s: s["engine"].get("refused"))
    assert status["engine"]["kind"] == "eager"
    assert "tensorrt" in status["engine"]["refused"]
    assert "tensorrt does not paint" in daemon.output
    daemon.painting()


def test_the_process_that_builds_ends_with_a_killed_host(daemon):
    daemon.environment["XDG_CACHE_HOME"] = str(daemon.home / "cache")
    daemon.start(*RUN)
    daemon.wait(lambda s: s["engine"].get("building") == "openvino")
    (builder,) = [
        child for child in daemon.children() if "pipeline.engine.building" in " ".join(child.cmdline())
    ]
    daemon.end(signal.SIGKILL)
    assert gone([builder.pid])
