"""A build that ends before it has heard what to build is told in one sentence, whatever it died of."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from pipeline.engine.build_process import BuildError, build_in_process
from pipeline.engine.job import Job

JOB = Job(
    kind="openvino", model="builtin", vae=None, weights=(), allow_pickle=False, device="cpu", dtype="float32",
    height=64, width=64, frames=1, steps=1, rows=(1,), threads=1,
)  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="a script with a first line that names its shell")
@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("exit 3", "its build ended with exit code 3"),
        ("kill -9 $$", "its build was killed by signal 9"),
        ("exec <&-; sleep 0.2; exit 4", "its build ended with exit code 4"),
    ],
)
def test_a_build_that_never_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, told: str):
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    for _ in range(5):  # it may end before, while or after it is written to
        with pytest.raises(BuildError) as refused:
            build_in_process(JOB, tmp_path, threading.Event())
        assert str(refused.value) == told
