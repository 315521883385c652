"""Where OBS is, its password, and that nothing shows it."""

import json

import pytest

from daemon.config.effective import effective_facts
from daemon.config.errors import ConfigError
from daemon.settings import load
from integrations.obs.options import Options
from integrations.obs.own_config import own_config
from integrations.obs.server import find_server
from pipeline.messages import to_dict

SECRET = "s3cret pass: word"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config" / "obs-studio" / "plugin_config" / "obs-websocket").mkdir(parents=True)
    return tmp_path / "config" / "obs-studio"


def write(home, **values):
    known = {"server_enabled": True, "server_port": 4460, "auth_required": True, "server_password": SECRET}
    file = home / "plugin_config" / "obs-websocket" / "config.json"
    file.write_text(json.dumps(known | values))


@pytest.mark.skipif("sys.platform != 'linux'")
def test_obs_own_settings_fill_what_is_left_open(home):
    assert own_config() is None
    assert find_server(Options()).port == 4455
    write(home)
    found = find_server(Options())
    assert (found.port, found.password, found.off_in) == (4460, SECRET, "")
    assert find_server(Options(host="192.0.2.7")).password == ""  # another computer's OBS
    assert find_server(Options(password="mine")).password == "mine"
    write(home, auth_required=False)
    assert find_server(Options()).password == ""
    write(home, server_enabled=False)
    assert find_server(Options()).off_in.endswith("config.json")
    assert find_server(Options(port=4444)).off_in == ""
    assert SECRET not in repr(found) + repr(own_config())


@pytest.mark.skipif("sys.platform != 'linux'")
def test_older_obs_keeps_them_in_its_global_file(home):
    lines = ["[General]", "Pre=a", "[OBSWebSocket]", "ServerEnabled=true", "ServerPort=4457"]
    (home / "global.ini").write_text("\ufeff" + "\n".join([*lines, r"ServerPassword=a\\b%c;d#e"]))
    assert own_config().password == r"a\b%c;d#e"
    assert own_config().port == 4457
    write(home)
    assert own_config().port == 4460
    write(home, server_port="no number")
    assert own_config().port == 4457


def test_the_password_is_shown_nowhere(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(f"obs: {{password: '{SECRET}'}}")
    loaded = load({}, file, environment={})
    assert loaded.settings.obs.password.get_secret_value() == SECRET
    assert SECRET not in json.dumps(effective_facts(loaded)) + repr(loaded)
    assert SECRET not in loaded.settings.model_dump_json()
    assert SECRET not in json.dumps(to_dict(loaded.settings.first_state()))
    for key, said in (("password", "put it in quotes"), ("pasword", "did you mean 'password'?")):
        file.write_text(f"obs: {{{key}: 31415926}}")
        with pytest.raises(ConfigError) as failed:
            load({}, file, environment={})
        assert said in str(failed.value)
        facts = [problem.facts() for problem in failed.value.problems]
        assert "31415926" not in str(failed.value) + json.dumps(facts)


def test_a_password_of_digits_from_the_environment_stays_as_it_is():
    settings = load({}, None, environment={"PHOSPHENE_OBS__PASSWORD": "0123"}).settings
    assert settings.obs.password.get_secret_value() == "0123"


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("{scenes: {Game*: next}}", "cannot stand for 'next'"),
        ("{scenes: {Game*: 'neon over x'}}", "not a time"),
        ("{hotkeys: {Light: {shown: ''}}}", "empty"),
        ("{port: 70000}", "port"),
    ],
)
def test_mistakes_are_named_at_start(tmp_path, section, said):
    file = tmp_path / "config.yaml"
    file.write_text(f"obs: {section}")
    with pytest.raises(ConfigError) as failed:
        load({}, file, environment={})
    assert said in str(failed.value)
    assert "config.yaml:1" in str(failed.value)
