"""The program as its user starts it, for every test of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import Daemon


@pytest.fixture(scope="session")
def daemon_in() -> type[Daemon]:
    """Makes a daemon with its folders below the one it is given."""
    return Daemon


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path) as made:
        yield made
