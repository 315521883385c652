"""Three minutes under random commands from every front end and random faults; `benchmarks/soak.py` runs thirty."""

from __future__ import annotations

import random
from dataclasses import asdict

import pytest

from tests.faults import scenes
from tests.faults.soak import PAINTED, soak
from tests.process.test_faults import BUSY_S


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_nothing_grows_and_nobody_waits(tmp_path):
    seed = random.randrange(2**31)
    with scenes.painted_bars(tmp_path / "home", "--sink", "preview", **PAINTED) as scene:
        scene.gap_floor_s = BUSY_S
        report = soak(scene, 180, seed)
    print(asdict(report))
    assert report.wrong == [], f"seed {seed}: {report}"
    assert report.commands > 50
    assert report.faults
