"""OBS's virtual camera serves one program: a clash is known by what the system says, and by asking OBS."""

from __future__ import annotations

import socket

import pytest

from daemon.doctor.finding import Level
from daemon.doctor.obs import check_obs, clash
from daemon.settings import Settings
from pipeline.frame import Size
from pipeline.sink import OutputFormat
from pipeline.sinks import virtual_camera
from pipeline.sinks._obs_camera import camera_fault


def settings_of(**more):
    return Settings.model_validate({"source": "noise", "sinks": ["preview", "virtual_camera"], **more})


@pytest.mark.parametrize(
    ("said", "word", "mend"),
    [
        (
            "'obs' backend: virtual camera output could not be started",
            "another program has",
            "Stop Virtual Camera",
        ),
        ("'obs' backend: Couldn't start stream", "another program has", "--picture stream"),
        (
            "'obs' backend: OBS Virtual Camera device not found! Did you install OBS?",
            "not installed",
            "install OBS",
        ),
        (
            "OBS Virtual Camera is not installed in your system. Use …",
            "not installed",
            "start its virtual camera once",
        ),
        ("Unsupported image format.", "Unsupported image format", "install OBS"),
    ],
)
def test_what_the_system_said_in_words(said, word, mend):
    error = camera_fault(said)
    assert word in error.message
    assert mend in error.mend


def test_the_sink_explains_the_clash(monkeypatch):
    import pyvirtualcam

    def taken(*_, **__):
        raise RuntimeError("'obs' backend: virtual camera output could not be started")

    monkeypatch.setattr(virtual_camera.sys, "platform", "win32")
    monkeypatch.setattr(pyvirtualcam, "Camera", taken)
    with pytest.raises(Exception, match="most likely OBS itself"):
        virtual_camera.create(virtual_camera.Options(), OutputFormat(Size(64, 64), 30))


@pytest.mark.parametrize("platform", ["win32", "darwin", "linux"])
@pytest.mark.parametrize("on", [False, True])
@pytest.mark.parametrize("sinks", [["preview"], ["preview", "virtual_camera"]])
def test_doctor_warns_where_both_would_write_to_one_camera(platform, on, sinks):
    found = list(clash(settings_of(sinks=sinks), on, platform))
    wanted = on and platform != "linux" and "virtual_camera" in sinks
    assert [finding.level for finding in found] == ([Level.WARNING] if wanted else [])
    assert all("Stop Virtual Camera" in finding.mend for finding in found)


def test_having_no_obs_is_nothing_wrong(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        (finding,) = check_obs(settings_of(obs={"port": port}))
        assert (finding.level, finding.area) == (Level.OK, "OBS")
        assert "no OBS answers" in finding.message
    (finding,) = check_obs(settings_of(obs={"enabled": False}))
    assert finding.level is Level.OK


def test_what_is_no_obs_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        (finding,) = check_obs(settings_of(obs={"port": mute.getsockname()[1]}))
    assert "does not answer as OBS does" in finding.message
