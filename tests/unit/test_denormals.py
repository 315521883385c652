"""Denormals are zero inside the engine's calls and whole outside of them."""

from __future__ import annotations

import pytest
import torch

from pipeline.engine.denormals import flushed

TINY = 1e-39


def halved() -> float:
    return float(torch.full((4,), TINY).mul(0.5).sum())


@pytest.mark.skipif(not torch.set_flush_denormal(False), reason="this CPU cannot flush denormals")
def test_denormals_are_zero_inside_and_whole_again_outside():
    assert halved() > 0
    with flushed(torch.device("cpu")):
        assert halved() == 0
    assert halved() > 0
    with pytest.raises(RuntimeError, match="boom"), flushed(torch.device("cpu")):
        raise RuntimeError("boom")
    assert halved() > 0
