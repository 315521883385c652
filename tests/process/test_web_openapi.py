"""Generated requests: every answer is one that the OpenAPI document allows, and none is a 500."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings

from daemon.bank.live import StyleBank
from daemon.bank.pictures import StylePictures
from daemon.control import ControlHub
from daemon.midi_learn import MidiLearn
from daemon.playlist import Playlist
from daemon.settings import load
from integrations.midi.integration import Midi
from integrations.midi.options import Options as MidiOptions
from integrations.web.limits import Limits
from integrations.web.openapi import document

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from fake_daemon import FakeDaemon

schemathesis = pytest.importorskip("schemathesis", reason="not installed: pip install schemathesis")
checks = pytest.importorskip("schemathesis.specs.openapi.checks")

ENDLESS = r"/stream\.|/camera\.|/events$"
"""Never end, so they are read by tests of their own."""

ENDING = r"/stop$"
ENOUGH = Limits(requests_rate=1e6, requests_burst=1e6, refusals_rate=1e6, refusals_burst=1e6)

described = schemathesis.openapi.from_dict(document())
answering = described.exclude(path_regex=f"{ENDLESS}|{ENDING}")


class NoDevices:
    """Equipment without any: the endpoints' own work is what is tested here."""

    def devices(self):
        return {"sources": [], "sinks": [], "cameras": []}

    def set_source(self, given, origin):
        return {"kind": str(given)}

    def sinks(self):
        return []

    def add_sink(self, given, origin):
        return {"id": 0}

    def remove_sink(self, sink, origin):
        return False


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    """The real server over the real bank, its file and its playlist; only the engine and devices are missing."""
    home = tmp_path_factory.mktemp("home")
    folders = {f"XDG_{name}_HOME": str(home / name.lower()) for name in ("CONFIG", "STATE", "CACHE")}
    with mock.patch.dict(os.environ, folders):
        hub = ControlHub(load({}, None, environment={}))
        bank, playlist = StyleBank(hub), Playlist(hub.settings.playlist, hub, hub.emit)
        hub.on_settings(lambda settings, _: playlist.adopt(settings.playlist))
        hub.on_playlist = playlist.do
        pictures = StylePictures(
            lambda: hub.settings, lambda: hub.state, lambda request: None, hub.emit, lambda: home / "pictures"
        )
        pictures.live = lambda name, timeout_s: bank.exported()[name] and b"\xff\xd8\xff\xd9"
        playlist.start()
        parts = {"bank": bank, "pictures": pictures, "playlist": playlist, "equipment": NoDevices()}
        parts["midi"] = MidiLearn(
            hub, bank, lambda: Midi(MidiOptions(), hub), lambda: {"status": "listening"}
        )
        with FakeDaemon(limits=ENOUGH, parts=parts) as running:
            yield running
        playlist.stop()
        hub.close()


@answering.parametrize()
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_described(case, daemon):
    # No schema knows the names of the styles, so a well-formed command may still be refused.
    case.call_and_validate(
        base_url=daemon.address, headers=daemon.bearer, excluded_checks=[checks.positive_data_acceptance]
    )


@described.include(path_regex="/commands$").parametrize()
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_command_is_a_fault(case, daemon):
    answer = case.call(base_url=daemon.address, headers=daemon.bearer)
    assert answer.status_code < 500
