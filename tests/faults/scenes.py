"""Makes a daemon that can be hurt, with a viewer that watches it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from pipeline.sources.test_pattern import BARS
from tests.faults.campaign import Scene
from tests.faults.viewer import TapViewer
from tests.running import ROOT, Daemon

SITE = Path(__file__).parent / "site"
SMALL = {"PHOSPHENE_MODEL__SIZE": "128x96", "PHOSPHENE_SIMILARITY__ENABLED": "false"}
"""A canvas that leaves a small machine some time for the rest."""


def faulty_daemon(home: Path, **environment: str) -> Daemon:
    """Not started yet. Faults are asked for in `home/faults`."""
    (home / "faults").mkdir(parents=True)
    (home / "empty").mkdir()
    return Daemon(
        home,
        {
            **SMALL,
            "PYTHONPATH": f"{SITE}:{ROOT}",
            "FAULTS_FOLDER": str(home / "faults"),
            **environment,
        },
    )


@contextlib.contextmanager
def painted_bars(home: Path, *arguments: str, **environment: str) -> Iterator[Scene]:
    """The test pattern, painted, with its viewer on the first sink."""
    tap = home / "tap"
    home.mkdir(exist_ok=True, parents=True)
    with faulty_daemon(home, **environment) as daemon, TapViewer(tap, BARS) as viewer:
        options = ("--source", "test_pattern", "--sink", f"tap:{tap}", "--size", "640x360", *arguments)
        daemon.start(*options)
        scene = Scene(daemon, viewer)
        scene.kept["arguments"] = options
        daemon.wait(lambda s: s["sinks"][0]["sent"] > 0)
        yield scene
        daemon.end()
