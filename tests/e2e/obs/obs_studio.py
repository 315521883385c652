"""A real OBS Studio without a screen: Xvfb, software OpenGL, folders of its own."""

from __future__ import annotations

import configparser
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from integrations.obs.connection import Connection, open_connection
from integrations.obs.errors import ObsError
from integrations.obs.server import Server

MISSING = [program for program in ("obs", "Xvfb") if shutil.which(program) is None]

SCENES = {"Neon": 0xFFFF00FF, "Sketch": 0xFF00A5FF, "Plain": 0xFF808080}
"""Name → colour (ABGR) of the scenes of the collection that a new OBS has."""


class ObsStudio:
    """Start, quit, kill, freeze. `settings_home` is what XDG_CONFIG_HOME is for it."""

    def __init__(self, folder: Path, *, password: str = "s3 cret'\"pass", size=(320, 180), fps: int = 30):
        self.folder, self.password, self.size, self.fps = folder, password, size, fps
        self.port = free_port()
        self.settings_home = folder / "config"
        self._own = self.settings_home / "obs-studio"
        self._obs: subprocess.Popen | None = None
        self._screen: subprocess.Popen | None = None
        self.extra: list[str] = []
        self._seed()

    # ------------------------------------------------------------ life

    def __enter__(self) -> ObsStudio:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        if self._screen is not None:
            self._screen.terminate()
            self._screen.wait(10)
            self._screen = None

    @property
    def server(self) -> Server:
        return Server("127.0.0.1", self.port, self.password, "the test")

    def start(self, wait: bool = True) -> ObsStudio:
        shutil.rmtree(self._own / "safe_mode", ignore_errors=True)
        shutil.rmtree(self._own / ".sentinel", ignore_errors=True)
        if self._screen is None:
            self._show()
        argv = ["obs", "--multi", "--disable-updater", "--disable-missing-files-check", *self._newer()]
        argv += ["--unfiltered_log", "--collection", "CI", "--profile", "CI", *self.extra]
        with (self.folder / "obs.log").open("ab") as log:
            self._obs = subprocess.Popen(argv, env=self._environment(), stdout=log, stderr=log)
        if wait:
            self.wait()
        return self

    def wait(self, seconds: float = 60) -> None:
        """Until it answers requests."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                with self.connection() as obs:
                    obs.request("GetVersion")
                return
            except ObsError:
                assert self.running, f"OBS ended:\n{self.log[-2000:]}"
                assert time.monotonic() < deadline, f"OBS does not answer:\n{self.log[-2000:]}"
                time.sleep(0.1)

    @property
    def running(self) -> bool:
        return self._obs is not None and self._obs.poll() is None

    def quit(self) -> float:
        """As its user closes it; seconds that it took."""
        assert self._obs is not None
        began = time.monotonic()
        self._obs.send_signal(signal.SIGINT)
        try:
            self._obs.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()  # the other tests need one that answers
            raise
        return time.monotonic() - began

    def kill(self) -> None:
        if self._obs is not None:
            self._obs.kill()
            self._obs.wait(10)
            self._obs = None
        deadline = time.monotonic() + 10
        while port_taken(self.port):  # freed a little later
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def freeze(self) -> None:
        assert self._obs is not None
        self._obs.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """And wait until it answers again: OBS that is asked to quit before that may never end."""
        assert self._obs is not None
        self._obs.send_signal(signal.SIGCONT)
        self.wait(20)

    def connection(self, **given) -> Connection:
        return open_connection(self.server, **given)

    @property
    def log(self) -> str:
        return (self.folder / "obs.log").read_text(errors="replace")

    # ------------------------------------------------------------ folders

    def set_password(self, password: str) -> None:
        """For the next start, in the file that OBS's version reads."""
        self.password = password
        self._seed_server()

    def add_collection(
        self, name: str, sources: list[dict], scenes: list[str], groups: list[dict] | None = None
    ) -> None:
        """A scene collection as OBS saves it. sources: with the scenes among them."""
        data = {
            "name": name,
            "current_scene": scenes[0],
            "current_program_scene": scenes[0],
            "current_transition": "Cut",
            "transition_duration": 300,
            "scene_order": [{"name": scene} for scene in scenes],
            "sources": sources,
            "groups": groups or [],
            **{key: [] for key in ("transitions", "quick_transitions", "saved_projectors")},
        }
        (self._own / "basic" / "scenes" / f"{name}.json").write_text(json.dumps(data))

    def _seed(self) -> None:
        for path in ("basic/profiles/CI", "basic/scenes", "plugin_config/obs-websocket"):
            (self._own / path).mkdir(parents=True)
        for path in ("home", "run"):
            (self.folder / path).mkdir(mode=0o700)
        self._seed_server()
        width, height = self.size
        video = {"BaseCX": width, "BaseCY": height, "OutputCX": width, "OutputCY": height}
        profile = {
            "General": {"Name": "CI"},
            "Video": {**video, "FPSType": 0, "FPSCommon": self.fps},
            "Output": {"Mode": "Simple"},
            "SimpleOutput": {"FilePath": self.folder / "home", "RecFormat2": "mkv", "VBitrate": 300},
        }
        (self._own / "basic/profiles/CI/basic.ini").write_text(ini(profile))
        sources = []
        for name, colour in SCENES.items():
            sources += [colour_source(f"{name} color", colour, self.size), scene(name, [f"{name} color"])]
        self.add_collection("CI", sources, list(SCENES))

    def _seed_server(self) -> None:
        general = {
            # no wizard, no "what's new", no question at the end
            "General": {
                "FirstRun": "true",
                "LastVersion": (29 << 24) + 2,
                "EnableAutoUpdates": "false",
                "ConfirmOnExit": "false",
            },
            "Basic": {
                "Profile": "CI",
                "ProfileDir": "CI",
                "SceneCollection": "CI",
                "SceneCollectionFile": "CI",
            },
            "BasicWindow": {"SysTrayEnabled": "false", "PreviewEnabled": "false"},
        }
        server = {
            "FirstLoad": "false",
            "ServerEnabled": "true",
            "ServerPort": self.port,
            "AlertsEnabled": "false",
            "AuthRequired": "true",
            # as Qt's settings write it
            "ServerPassword": self.password,
        }
        (self._own / "global.ini").write_text(ini({**general, "OBSWebSocket": server}))
        (self._own / "user.ini").write_text(ini(general))  # from OBS 31 on
        own = {
            "first_load": False,
            "server_enabled": True,
            "server_port": self.port,
            "alerts_enabled": False,
            "auth_required": True,
            "server_password": self.password,
        }
        (self._own / "plugin_config/obs-websocket/config.json").write_text(json.dumps(own))

    # ------------------------------------------------------------ screen

    def _show(self) -> None:
        reading, writing = os.pipe()
        argv = [
            "Xvfb",
            "-displayfd",
            str(writing),
            "-screen",
            "0",
            "800x600x24",
            "-nolisten",
            "tcp",
            "-noreset",
        ]
        with (self.folder / "xvfb.log").open("ab") as log:
            self._screen = subprocess.Popen(argv, pass_fds=[writing], stdout=log, stderr=log)
        os.close(writing)
        with os.fdopen(reading) as number:
            self._display = f":{number.readline().strip()}"

    def _environment(self) -> dict[str, str]:
        left_out = ("WAYLAND_DISPLAY", "XAUTHORITY")
        nowhere = "unix:path=/nonexistent"
        return {
            # OpenCV, where this process has loaded it, sends every Qt program to its own plugins
            **{k: v for k, v in os.environ.items() if k not in left_out and not k.startswith("QT_")},
            "DISPLAY": self._display,
            "HOME": str(self.folder / "home"),
            "XDG_CONFIG_HOME": str(self.settings_home),
            "XDG_RUNTIME_DIR": str(self.folder / "run"),
            "XDG_CACHE_HOME": str(self.folder / "home" / ".cache"),
            "LIBGL_ALWAYS_SOFTWARE": "1",
            "GALLIUM_DRIVER": "llvmpipe",
            "LP_NUM_THREADS": "1",
            "QT_QPA_PLATFORM": "xcb",
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "PULSE_SERVER": "unix:/nonexistent",
            "DBUS_SESSION_BUS_ADDRESS": nowhere,
            "NO_AT_BRIDGE": "1",
        }

    def _newer(self) -> list[str]:
        """OBS 30 asks whether to start in safe mode after a crash."""
        helped = subprocess.run(
            ["obs", "--help"],
            capture_output=True,
            text=True,
            env=self._environment(),
            check=False,
            timeout=20,
        )
        option = "--disable-shutdown-check"
        return [option] if option in helped.stdout + helped.stderr else []


# ---------------------------------------------------------------- pieces of a scene collection


def colour_source(name: str, colour: int, size: tuple[int, int]) -> dict:
    settings = {"color": colour, "width": size[0], "height": size[1]}
    return source(name, "color_source", "color_source_v3", settings)


def text_source(name: str, text: str) -> dict:
    font = {"face": "DejaVu Sans", "style": "Book", "size": 32, "flags": 0}
    return source(name, "text_ft2_source", "text_ft2_source_v2", {"text": text, "font": font})


def scene(name: str, items: list[str], kind: str = "scene") -> dict:
    """kind: "scene" or "group"."""
    made = [
        {"id": number, "name": item, "visible": True, "align": 5, "scale": {"x": 1.0, "y": 1.0}}
        for number, item in enumerate(items, 1)
    ]
    size = {"custom_size": True, "cx": 320, "cy": 180} if kind == "group" else {"custom_size": False}
    return source(name, kind, kind, {**size, "id_counter": len(items), "items": made})


def source(name: str, kind: str, versioned: str, settings: dict) -> dict:
    return {"id": kind, "versioned_id": versioned, "name": name, "enabled": True, "settings": settings}


def ini(sections: dict[str, dict]) -> str:
    writer = configparser.RawConfigParser()
    writer.optionxform = str  # type: ignore[assignment,method-assign]
    for name, values in sections.items():
        writer[name] = {key: str(value) for key, value in values.items()}
    text = io.StringIO()
    writer.write(text, space_around_delimiters=False)
    return text.getvalue()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def port_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
