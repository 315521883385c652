"""A model that cannot be loaded costs the painting and not the picture, and is tried again by itself."""

from __future__ import annotations

from tests.faults import start_faults


def test_a_file_that_is_cut_short_is_named_and_used_once_it_is_whole(tmp_path):
    assert start_faults.model_cut_short(tmp_path / "home").wrong == []


def test_a_hub_that_cannot_be_reached_is_named(tmp_path):
    assert start_faults.hub_unreachable(tmp_path / "home").wrong == []
