"""Faults of what stands beside the daemon on a desktop, both real: OBS, and the X server of the hotkeys."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from integrations.obs.errors import ObsError
from tests.e2e.obs.obs_studio import MISSING as MISSING_OBS
from tests.e2e.obs.obs_studio import ObsStudio
from tests.faults.campaign import Fault, Scene
from tests.faults.scenes import painted_bars
from tests.x_server import Screen

MISSING = [*MISSING_OBS, *(tool for tool in ("xdotool",) if shutil.which(tool) is None)]
FLOOD_S = 5.0


@contextlib.contextmanager
def desktop(home: Path) -> Iterator[Scene]:
    """A daemon that follows OBS and listens for keys."""
    (folder := home / "obs").mkdir(parents=True)
    screen = Screen()
    with ObsStudio(folder) as studio, contextlib.ExitStack() as ends:
        ends.callback(screen.kill)
        screen.start()
        studio.start()
        obs = {
            "port": studio.port,
            "password": studio.password,
            "scenes": {"Neon": "neon", "Sketch": "anime"},
        }
        config = home / "config" / "phosphene" / "config.yaml"
        config.parent.mkdir(parents=True)
        config.parent.parent.chmod(0o700)
        keys = {"f9": "neon", "f10": "anime"}
        config.write_text(yaml.safe_dump({"obs": obs, "hotkeys": {"backend": "x11", "keys": keys}}))
        with painted_bars(home, DISPLAY=screen.name, XDG_SESSION_TYPE="x11") as scene:
            scene.kept |= {"studio": studio, "screen": screen}
            says(scene, "obs", "connected", 30)
            says(scene, "hotkeys", "listening", 30)
            yield scene


def says(scene: Scene, integration: str, status: str, seconds: float) -> None:
    scene.wait(
        lambda s: s["integrations"][integration]["status"] == status, seconds, f"{integration} is {status}"
    )


def silent(scene: Scene, integration: str, status: str, seconds: float) -> None:
    scene.wait(
        lambda s: s["integrations"][integration]["status"] != status,
        seconds,
        f"{integration} is no longer {status}",
    )


def kill_obs(scene: Scene) -> None:
    scene.kept["studio"].kill()
    silent(scene, "obs", "connected", 5)


def start_obs(scene: Scene) -> None:
    scene.kept["studio"].start()
    says(scene, "obs", "connected", 15)


def freeze_obs(scene: Scene) -> None:
    scene.kept["studio"].freeze()
    silent(scene, "obs", "connected", 6)


def thaw_obs(scene: Scene) -> None:
    scene.kept["studio"].thaw()
    says(scene, "obs", "connected", 15)


def flood_from_obs(scene: Scene) -> None:
    """Scene after scene as fast as OBS takes them, and custom events that mean nothing."""
    until, sent = time.monotonic() + FLOOD_S, 0
    with scene.kept["studio"].connection() as obs:
        for name in itertools.cycle(("Neon", "Sketch")):
            if time.monotonic() > until:
                break
            nonsense: dict[str, Any] = {"phosphene": "?" * 100, "phosphene_event": [sent]}
            with contextlib.suppress(ObsError):
                obs.request("SetCurrentProgramScene", {"sceneName": name})
                obs.request("BroadcastCustomEvent", {"eventData": nonsense})
            sent += 1
    assert sent > 20, f"only {sent} of each in {FLOOD_S:g} s"
    says(scene, "obs", "connected", 5)


def kill_screen(scene: Scene) -> None:
    scene.kept["screen"].kill()
    silent(scene, "hotkeys", "listening", 10)


def start_screen(scene: Scene) -> None:
    scene.kept["screen"].start()
    says(scene, "hotkeys", "listening", 30)


def flood_of_keys(scene: Scene) -> None:
    environment = {**os.environ, "DISPLAY": scene.kept["screen"].name}
    until = time.monotonic() + FLOOD_S
    while time.monotonic() < until:
        subprocess.run(
            ["xdotool", "key", "--delay", "1", *("F9", "F10") * 50], check=True, env=environment, timeout=20
        )
    says(scene, "hotkeys", "listening", 5)


FAULTS = (
    Fault("OBS is killed and started again", kill_obs, mend=start_obs),
    Fault("OBS hangs (SIGSTOP, SIGCONT)", freeze_obs, mend=thaw_obs),
    Fault("OBS floods: scenes and nonsense without a pause", flood_from_obs),
    Fault("hotkeys: the X server is killed and started again", kill_screen, mend=start_screen),
    Fault("hotkeys: keys without a pause", flood_of_keys),
)
