"""The benchmark's other process, with a stand-in for the package: turns, what it prints, and what is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.original_process import NotInstalledError, Originals
from benchmarks.shapes import BUILTIN

pytest.importorskip("diffusers")

PACKAGE = """
import torch
print("a line that is no answer")
class StreamDiffusion:
    device, dtype = torch.device("cpu"), torch.float32
    def __init__(self, pipe, t_index_list, **options):
        self.vae, self.unet, self.options = pipe.vae, pipe.unet, options
        self.init_noise = self.stock_noise = torch.zeros(1, pipe.unet.config.in_channels, 1, 1)
        self.x_t_latent_buffer = None
    def prepare(self, prompt, guidance_scale):
        assert self.options["cfg_type"] in ("none", "self", "full", "initialize")
    def __call__(self, pixels):
        if self.options["cfg_type"] == "full":
            raise SystemExit(3)
        return pixels
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    (tmp_path / "streamdiffusion.py").write_text(PACKAGE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def test_turns_are_asked_for_and_answered(package):
    originals = Originals(BUILTIN, torch.device("cpu"), torch.float32)
    try:
        one, other = originals.make((64, 64), (45,), "none"), originals.make((64, 64), (20, 45), "self")
        for system in (one, other, one):
            assert len(system.run(0.05).ms) >= 3
        originals.forget()
        with pytest.raises(RuntimeError, match="ended with 3"):
            originals.make((64, 64), (45,), "full")
    finally:
        originals.close()


def test_a_package_that_is_not_there_is_named(package):
    (package / "streamdiffusion.py").write_text("import a_module_that_nobody_has")
    with pytest.raises(NotInstalledError, match="a_module_that_nobody_has"):
        Originals(BUILTIN, torch.device("cpu"), torch.float32)
