"""Faults injected for real into a running daemon, each judged by an independent viewer (see `tests.faults`).

`python -m benchmarks.faults` injects all of them, many times; here are the ones that differ most.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults import campaign, process_faults, scenes

NAMES = (
    "capture killed (SIGKILL)",
    "capture stopped (SIGSTOP)",
    "NaN for a second",
    "engine out of memory",
    "denoiser hangs with the interpreter's lock",
    "host stopped for 3 s (SIGSTOP, SIGCONT)",
)
BUSY_S = 0.5
"""A gap that a machine full of other tests may cause; `benchmarks/faults.py` judges by the table's own bound."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[campaign.Scene]:
    with scenes.painted_bars(tmp_path_factory.mktemp("faults") / "home") as made:
        made.gap_floor_s = BUSY_S
        yield made


@pytest.mark.parametrize("name", NAMES)
def test_the_picture_goes_on_and_the_cause_is_named(scene, name):
    (fault,) = [fault for fault in process_faults.FAULTS if fault.name == name]
    outcome = campaign.inject(scene, fault)
    print(campaign.table([outcome]))
    assert outcome.wrong == []


def test_what_is_given_up_says_so_and_comes_back_when_asked(scene):
    scene.painting()
    for _ in range(30):
        if scene.status()["source"]["status"] == "given up":
            break
        process_faults.counted("source", process_faults.kill_now("capture"))(scene)
        process_faults.restarted("source")(scene)
    status = scene.status()
    assert status["source"]["status"] == "given up"
    assert "phosphene resume" in status["source"]["mend"]
    assert scene.said(0, "failed too often and was given up")
    scene.viewer.until(lambda picture: campaign.is_slate(picture), 10)
    scene.daemon.submit(command="mode", mode="styled")
    scene.painting(10)
