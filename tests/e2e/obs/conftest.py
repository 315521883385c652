"""One OBS for all tests of this folder."""

import pytest

from tests.e2e.obs.obs_studio import MISSING, ObsStudio


@pytest.fixture(scope="session")
def studio(tmp_path_factory):
    if MISSING:
        pytest.skip(
            f"{' and '.join(MISSING)} missing: apt-get install obs-studio obs-plugins xvfb libgl1-mesa-dri"
        )
    with ObsStudio(tmp_path_factory.mktemp("obs")) as running:
        yield running.start()


@pytest.fixture
def obs(studio):
    """A connection of the test's own."""
    if not studio.running:
        studio.start()
    with studio.connection() as connection:
        yield connection
