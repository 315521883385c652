"""Findings from real files of a made-up machine."""

import pytest

from daemon.commands.doctor import examine
from daemon.doctor import machine, program, video
from daemon.doctor.finding import Level
from daemon.settings import Settings
from pipeline import v4l2


def settings_of(**more):
    return Settings.model_validate({"source": "noise", "sinks": ["preview"], **more})


def test_library_mend_names_the_missing_one(monkeypatch):
    monkeypatch.setattr(program.shutil, "which", lambda tool: "/x" if tool == "apt-get" else None)
    said = "libGL.so.1: cannot open shared object file: No such file or directory"
    assert program.library_mend(said) == "sudo apt install libgl1"
    assert "libgl1 libglib2.0-0 libxcb1" in program.library_mend("something else")


def test_taken_port_is_a_problem(tmp_path, monkeypatch):
    import socket

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (finding,) = machine.check_network(settings_of(web={"port": port}))
    assert finding.level is Level.PROBLEM
    assert str(port) in finding.message
    (finding,) = machine.check_network(settings_of(web={"port": port}))
    assert finding.level is Level.OK


def test_virtual_camera_without_module(monkeypatch, tmp_path):
    monkeypatch.setattr(video.sys, "platform", "linux")
    monkeypatch.setattr(v4l2, "SYSFS", tmp_path)
    monkeypatch.setattr(video, "MODULE", tmp_path / "none")
    (finding,) = video.check_virtual_camera(settings_of(sinks=["virtual_camera"]))
    assert finding.level is Level.WARNING
    assert "modprobe v4l2loopback" in finding.mend
    (finding,) = video.check_virtual_camera(settings_of())
    assert finding.level is Level.OK


def test_module_version_and_flags(monkeypatch, tmp_path):
    (tmp_path / "parameters").mkdir()
    (tmp_path / "version").write_text("0.12.7\n")
    (tmp_path / "parameters" / "exclusive_caps").write_text("Y,N,N\n")
    monkeypatch.setattr(video, "MODULE", tmp_path)
    assert video.module_version() == (0, 12, 7)
    assert [video._exclusive_caps(n) for n in range(4)] == [True, False, False, None]


def test_bad_configuration_is_a_finding_with_its_line(tmp_path, monkeypatch):
    for key in ("XDG_STATE_HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(key, str(tmp_path))
    (path := tmp_path / "c.yaml").write_text("output: {fps: 0}\n")
    findings, loaded = program.check_configuration(path)
    assert loaded is None
    assert "c.yaml:1:10" in findings[0].message
    assert findings[0].mend == "use 1 to 240"


@pytest.mark.parametrize(("on_fault", "host", "warnings"), [("slate", "127.0.0.1", 0), ("raw", "0.0.0.0", 2)])
def test_what_shows_more_than_expected_is_a_warning(tmp_path, monkeypatch, on_fault, host, warnings):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (path := tmp_path / "c.yaml").write_text(f"on_fault: {on_fault}\nweb: {{host: {host}}}\n")
    findings, _ = program.check_configuration(path)
    assert sum(f.level is Level.WARNING for f in findings) == warnings


def test_the_whole_examination_of_this_machine_ends(tmp_path, monkeypatch):
    for key in ("XDG_STATE_HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(key, str(tmp_path))
    findings = examine(None)
    assert {"program", "configuration", "machine"} <= {finding.area for finding in findings}
    assert all(finding.mend for finding in findings if finding.level is not Level.OK)
