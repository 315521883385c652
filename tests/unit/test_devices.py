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
    """Three cards, none of them looked at yet."""
    monkeypatch.setattr(devices, "_present", lambda: {"cuda": True, "mps": False, "xpu": False})
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(devices, "_is_used", lambda: False)


@pytest.mark.parametrize(
    ("given", "card", "seen"), [("", 1, "1"), ("2,5", 1, "5"), ("GPU-ab,GPU-cd", 0, "GPU-ab")]
)
def test_the_card_asked_for_is_the_only_one_seen(cards, monkeypatch, given, card, seen):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    for _ in range(2):  # a second start in the same process means the same card
        assert devices.device_for(f"cuda:{card}") == torch.device("cuda:0")
        assert os.environ["CUDA_VISIBLE_DEVICES"] == seen


@pytest.mark.parametrize(("given", "card", "count"), [("", 3, 3), ("2,5", 2, 2)])
def test_a_number_too_high_changes_nothing_and_says_how_many_there_are(
    cards, monkeypatch, given, card, count
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    with pytest.raises(EngineError, match=f"there are {count} cards"):
        devices.device_for(f"cuda:{card}")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == given


def test_a_process_that_computes_already_stays_on_its_card(cards, monkeypatch):
    monkeypatch.setattr(devices, "_is_used", lambda: True)
    assert devices.device_for("cuda:0") == torch.device("cuda:0"), "the one that `auto` has taken"
    with pytest.raises(EngineError, match="another card"):
        devices.device_for("cuda:1")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_a_device_that_is_not_there_says_so():
    with pytest.raises(EngineError, match="sees no such device"):
        devices.device_for("cuda:3")
    assert devices.device_for("auto").type in ("cpu", "mps", "xpu")
