"""One OBS and one daemon for all tests of this folder."""

import pytest

from tests.e2e.obs.desk import Desk
from tests.e2e.obs.obs_studio import MISSING, ObsStudio, colour_source, scene, text_source
from tests.e2e.obs.running_daemon import RunningDaemon, until

SCENES = {"Neon*": "neon", "Sketch": "pencil", "Blend": "neon:0.7 anime:0.3"}
HOTKEYS = {"My light": "neon over 1s", "My fan": {"shown": "freeze", "hidden": "styled"}}


@pytest.fixture(scope="package")
def studio(tmp_path_factory):
    if MISSING:
        pytest.skip(
            f"{' and '.join(MISSING)} missing: apt-get install obs-studio obs-plugins xvfb libgl1-mesa-dri"
        )
    with ObsStudio(tmp_path_factory.mktemp("obs")) as running:
        sources = [
            text_source("phosphene", "a prompt of the other collection"),
            colour_source("Phosphene > jade", 0, (8, 8)),
            scene("Elsewhere", ["Group"]),
        ]
        group = scene("Group", ["phosphene", "Phosphene > jade"], "group")
        running.add_collection("Other", sources, ["Elsewhere"], [group])
        yield running.start()


@pytest.fixture
def obs(studio):
    """A connection of the test's own."""
    if not studio.running:
        studio.start()
    with studio.connection() as connection:
        yield connection


@pytest.fixture(scope="package")
def daemon(studio, tmp_path_factory):
    home = tmp_path_factory.mktemp("daemon")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CONFIG_HOME", "STATE_HOME", "RUNTIME_DIR"):
            (home / name).mkdir(mode=0o700)
            patch.setenv(f"XDG_{name}", str(home / name))
        section = {"port": studio.port, "password": studio.password, "scenes": SCENES, "hotkeys": HOTKEYS}
        with RunningDaemon(home, section) as running:
            running.section = section
            until(lambda: running.painted() > 5, 60, running.host.status)
            yield running


@pytest.fixture
def desk(studio, daemon):
    """What a streamer does in OBS, on an OBS as it was at first: scene Plain, cut, no studio mode."""
    if not studio.running:
        studio.start()
    until(lambda: daemon.obs()["status"] == "connected", 10, daemon.obs)
    heard = []
    with studio.connection(on_event=lambda *event: heard.append(event)) as obs:
        desk = Desk(obs, heard)
        desk.clear()
        until(lambda: daemon.obs().get("scene") == "Plain", 5, daemon.obs)
        daemon.rest()
        until(
            lambda: any(told.get("revision") == daemon.revision for told in desk.custom("phosphene_event")),
            10,
        )
        heard.clear()
        yield desk
    if studio.running:
        with studio.connection() as obs:  # the test may have ended the other one
            Desk(obs, []).clear()
