"""Which device is meant, and that a card asked for by number is the only one there is."""

from __future__ import annotations

import os

import pytest
import torch

from pipeline import devices
from pipeline.errors import EngineError


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    devices._cards_given.cache_clear()
    yield
    devices._cards_given.cache_clear()


@pytest.fixture
def cards(monkeypatch):
    monkeypatch.setattr(devices, "_present", lambda: {"cuda": True, "mps": False, "xpu": False})


@pytest.mark.parametrize(
    ("given", "card", "seen"),
    [("", 1, "1"), ("2,5", 1, "5"), ("GPU-ab,GPU-cd", 0, "GPU-ab"), ("2,5", 2, "-1")],
)
def test_the_card_asked_for_is_the_only_one_seen(cards, monkeypatch, given, card, seen):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    for _ in range(2):  # a second start in the same process means the same card
        assert devices.device_for(f"cuda:{card}") == torch.device("cuda:0")
        assert os.environ["CUDA_VISIBLE_DEVICES"] == seen


def test_a_process_that_computes_already_stays_on_its_card(cards, monkeypatch):
    devices.device_for("cuda:1")
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    assert devices.device_for("cuda:1") == torch.device("cuda:0")
    with pytest.raises(EngineError, match="another card"):
        devices.device_for("cuda:0")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_a_device_that_is_not_there_says_so():
    with pytest.raises(EngineError, match="sees no such device"):
        devices.device_for("cuda:3")
    assert devices.device_for("auto").type in ("cpu", "mps", "xpu")
