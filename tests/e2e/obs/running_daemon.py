"""The whole daemon with its children, its host in this process, so that a test sees every state and frame of it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from daemon.app import Host
from daemon.settings import load
from pipeline.messages import Event, SetMode

SMALL = {
    "source": "test_pattern",
    "sinks": ["preview"],
    "output.size": "320x180",
    "model.size": "64x64",
    "similarity.enabled": False,
    "engine.kind": "eager",
    "engine.threads": 1,
    "web.port": 0,
}


class RunningDaemon:
    """Painting a test pattern on a tiny canvas. A context manager."""

    def __init__(self, folder: Path, obs: dict[str, Any], **settings: Any) -> None:
        self.config = folder / "config.yaml"
        self.write_config(obs)
        self.host = Host(load({**SMALL, **settings}, self.config, environment={}), self._on_event)
        self.events: list[Event] = []
        self.first_frame: dict[int, float] = {}
        """Revision → when its first painted frame reached the preview, of `time.monotonic`."""
        self.host.preview.subscribe(self._on_picture)
        self._thread = threading.Thread(target=self._serve, name="host")

    def _on_event(self, event: Event) -> None:
        self.events.append(event)

    def _on_picture(self, jpeg: Any) -> None:
        self.first_frame.setdefault(jpeg.revision, time.monotonic())

    def _serve(self) -> None:
        asyncio.run(self.host.serve(seconds=None, frames=None, on_address=lambda address: None))

    def __enter__(self) -> RunningDaemon:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.host.stop_soon()
        self._thread.join(20)
        assert not self._thread.is_alive()

    def write_config(self, obs: dict[str, Any]) -> None:
        import yaml

        self.config.write_text(yaml.safe_dump({"obs": obs}))

    # ------------------------------------------------------------ what it does

    @property
    def style(self):
        return self.host.control.state.style

    @property
    def revision(self) -> int:
        return self.host.control.state.revision

    def submit(self, command) -> None:
        self.host.control.submit(command, "cli")

    def obs(self) -> dict[str, Any]:
        status: dict[str, Any] = self.host.integrations.status()["obs"]
        return status

    def states_since(self, revision: int) -> list[dict[str, Any]]:
        self.host.control.settle()
        states = [event.data["state"] for event in self.events if event.kind == "state"]
        return [state for state in states if state["revision"] > revision]

    def painted(self) -> int:
        return self.host.painted

    def rest(self) -> None:
        """As at start, for the next test."""
        from pipeline.messages import Mode, SetStyle

        self.submit(SetMode(Mode.STYLED))
        self.submit(SetStyle("anime"))


LEAST_S = 5.0


def until(true: Callable[[], Any], seconds: float = 5.0, said: Callable[[], Any] = lambda: "") -> float:
    """Seconds until it came true; on a busy machine it is given five at least."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < max(seconds, LEAST_S), f"it did not come true: {said()}"
        time.sleep(0.005)
    return time.monotonic() - began
