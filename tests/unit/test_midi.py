"""MIDI: knobs, pads and learning through mido, on the real hub, style file and supervisor."""

import sys
import time
from pathlib import Path

import pytest

from daemon.bank.live import StyleBank
from daemon.config.errors import ConfigError
from daemon.control import ControlHub
from daemon.integration_threads import IntegrationThreads
from daemon.midi_learn import MidiLearn
from daemon.settings import load
from integrations.knobs import RANGES, Knob, parse_target
from integrations.midi.controls import control_name
from pipeline.errors import PhospheneError
from pipeline.messages import Mode

mido = pytest.importorskip("mido")
sys.path.insert(0, str(Path(__file__).parent))
import memory_midi  # noqa: E402

BIND = (
    "{cc 7: strength 0.2..0.6, note 36: oil over 1s, note 40: panic, cc 20: next, pitch: guidance_scale, "
    "cc 7 ch 3: delta}"
)


class Stage:
    def __init__(self, folder, config):
        (folder / "config.yaml").write_text(config)
        self.hub = ControlHub(load({}, folder / "config.yaml", environment={}))
        self.bank = StyleBank(self.hub)
        self.threads = IntegrationThreads(self.hub.settings, self.hub, self.hub.emit)
        self.hub.on_settings(lambda settings, _: self.threads.adopt(settings))
        self.learn = MidiLearn(self.hub, self.bank, lambda: self.threads.running("midi"), self.status)

    def status(self):
        return self.threads.status()["midi"]

    def until(self, true, seconds=30.0):
        deadline = time.monotonic() + seconds
        while not true():
            self.threads.watch()
            assert time.monotonic() < deadline, (self.status(), self.hub.state)
            time.sleep(0.005)

    def send(self, *messages):
        heard = self.status().get("heard", 0)
        memory_midi.CONNECTED["Knobs 1"] += messages
        self.until(lambda: self.status().get("heard", 0) >= heard + len(messages))
        return self.hub.state

    def close(self):
        self.threads.ask_to_end()
        self.threads.join(3)
        self.hub.close()


@pytest.fixture
def stage(tmp_path, monkeypatch):
    for name in ("CONFIG", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    mido.set_backend("memory_midi", load=True)
    memory_midi.CONNECTED.clear()
    memory_midi.CONNECTED.update({"Midi Through Port-0": [], "Knobs 1": []})
    made = []

    def make(
        config=f"hotkeys: {{enabled: false}}\nobs: {{enabled: false}}\nmidi: {{enabled: true, bind: {BIND}}}\n",
    ):
        made.append(Stage(tmp_path, config))
        made[-1].until(lambda: made[-1].status()["status"] in ("listening", "waiting"))
        return made[-1]

    yield make
    for one in made:
        one.close()


def cc(control, value, channel=0):
    return mido.Message("control_change", control=control, value=value, channel=channel)


def note(number, velocity=100):
    return mido.Message("note_on", note=number, velocity=velocity)


def test_knobs_and_pads(stage):
    s = stage()
    assert s.status()["detail"] == "Knobs 1", "ALSA's own loop is no controller"
    assert s.send(cc(7, 127)).style.strength == pytest.approx(0.6)
    assert s.send(cc(7, 0)).style.strength == pytest.approx(0.2)
    assert s.send(cc(7, 127, channel=2)).style.delta == 2.0, "a channel's own binding goes first"
    assert s.send(note(36)).style.name == "oil"
    assert s.hub.state.morph_s == 1.0
    revision = s.hub.state.revision
    assert s.send(note(36, 0), mido.Message("note_off", note=36)).revision == revision, (
        "letting go does nothing"
    )
    assert s.send(mido.Message("pitchwheel", pitch=8191)).style.guidance_scale == 3.0
    assert s.send(note(40)).mode is Mode.PANIC


def test_a_button_that_sends_control_changes_acts_once_a_press(stage):
    s = stage()
    first = s.hub.state.style.name
    second = s.send(cc(20, 127)).style.name
    assert second != first
    assert s.send(cc(20, 127), cc(20, 100)).style.name == second
    assert s.send(cc(20, 0), cc(20, 127)).style.name not in (first, second)


def test_a_knob_that_is_turned_fast_gives_few_commands(stage):
    s = stage()
    revision = s.hub.state.revision
    assert s.send(*(cc(7, value) for value in range(128))).style.strength == pytest.approx(0.6)
    assert s.hub.state.revision - revision < 20


def test_a_flood_gives_few_commands_and_hides_no_pad(stage):
    s = stage()
    revision = s.hub.state.revision
    assert s.send(*(cc(7, n % 128) for n in range(5000)), note(36)).style.name == "oil"
    assert s.hub.state.revision - revision < 40


def test_a_controller_that_is_not_there_is_waited_for(stage):
    memory_midi.CONNECTED.pop("Knobs 1")
    s = stage()
    assert s.status()["status"] == "waiting"
    assert "Midi Through" in s.status()["detail"]
    memory_midi.CONNECTED["Knobs 1"] = []
    s.until(lambda: s.status()["status"] == "listening")
    memory_midi.CONNECTED.pop("Knobs 1")
    s.until(lambda: s.status()["status"] == "waiting")


def test_learning_tells_and_binds_and_keeps(stage):
    s = stage()
    s.learn.start(None, "web")
    assert s.learn.facts()["learning"] is True
    before = s.hub.state
    s.send(cc(7, 64))
    assert s.hub.state == before, "the control that is learned does not do what it did"
    told = [event for event in s.hub.recent_events() if event.kind == "midi"]
    assert told[-1].data == {"control": "cc 7", "target": None}
    s.learn.start("steadiness 1..0", "web")
    s.send(cc(9, 1))
    s.until(lambda: s.hub.settings.midi.bind.get("cc 9") == "steadiness 1..0")
    s.until(lambda: s.status()["status"] == "listening" and s.status()["heard"] == 0)
    assert s.send(cc(9, 127)).steadiness == 0.0
    assert s.send(cc(7, 127)).style.strength == pytest.approx(0.6), "what config.yaml binds is bound still"
    again = load({}, s.hub.loaded.config, environment={})
    assert again.settings.midi.bind["cc 9"] == "steadiness 1..0"
    s.learn.bind("cc 9", None, "web")
    assert "cc 9" not in s.hub.settings.midi.bind
    s.learn.bind("cc 7", None, "web")
    assert "cc 7" not in s.hub.settings.midi.bind, "also one that config.yaml binds"


def test_learning_without_midi_says_what_to_do(stage, tmp_path):
    (tmp_path / "config.yaml").write_text("midi: {enabled: false}\n")
    hub = ControlHub(load({}, tmp_path / "config.yaml", environment={}))
    learn = MidiLearn(hub, StyleBank(hub), lambda: None, lambda: {"status": "off"})
    with pytest.raises(PhospheneError, match="off") as caught:
        learn.start("strength", "web")
    assert "enabled: true" in caught.value.mend
    with pytest.raises(PhospheneError):
        learn.start("set nothing", "web")
    hub.close()


def test_the_real_back_end_where_the_system_has_one(stage):
    """rtmidi with a virtual port of another program: what it sends, the integration hears."""
    rtmidi = pytest.importorskip("rtmidi", reason="python-rtmidi is not installed")
    try:
        out = rtmidi.MidiOut(name="Phosphene test")
        out.open_virtual_port("Knobs")
    except (rtmidi.SystemError, rtmidi.RtMidiError) as error:  # no ALSA sequencer, as in a container
        pytest.skip(f"this system has no MIDI: {error}")
    mido.set_backend("mido.backends.rtmidi", load=True)
    s = stage(
        "hotkeys: {enabled: false}\nmidi: {enabled: true, port: Phosphene test, bind: {cc 7: strength}}\n"
    )
    s.until(lambda: s.status()["status"] == "listening")
    out.send_message([0xB0, 7, 127])
    s.until(lambda: s.hub.state.style.strength == 1.0)
    out.close_port()


@pytest.mark.parametrize(
    ("text", "name"),
    [("CC 7", "cc 7"), ("note36", "note 36"), ("pitch", "pitch"), ("cc 7 ch 2", "cc 7 ch 2")],
)
def test_names(text, name):
    assert control_name(text) == name


@pytest.mark.parametrize("text", ["", "cc", "cc 128", "cc 7 ch 17", "cc 7 ch 0", "knob 3", "note -1"])
def test_names_that_are_none(text):
    with pytest.raises(PhospheneError):
        control_name(text)


def test_targets():
    assert parse_target("strength") == Knob("strength", 0.0, 1.0)
    assert parse_target("strength 1..0").at(0.25).value == 0.75
    assert parse_target("seed").at(1.0).value == 127
    assert parse_target("neon over 1s").over_s == 1.0
    with pytest.raises(PhospheneError, match="cannot be turned"):
        parse_target("prompt 0..1")
    from daemon.config.live_keys import LIVE_KEYS

    for key, (low, high) in RANGES.items():
        for value in (low, high):
            LIVE_KEYS[key].parse(Knob(key, low, high).at(1.0 if value == high else 0.0).value)


@pytest.mark.parametrize(
    ("text", "word"), [("{cc 300: strength}", "no MIDI control"), ("{cc 7: set}", "key and value")]
)
def test_faults_are_said(tmp_path, text, word):
    (tmp_path / "c.yaml").write_text(f"midi: {{bind: {text}}}")
    with pytest.raises(ConfigError, match=word):
        load({}, tmp_path / "c.yaml", environment={})
