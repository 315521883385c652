"""Generated requests: every answer is one that the OpenAPI document allows, and none is a 500."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from integrations.web.limits import Limits
from integrations.web.openapi import document

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from fake_daemon import FakeDaemon

schemathesis = pytest.importorskip("schemathesis", reason="not installed: pip install schemathesis")
checks = pytest.importorskip("schemathesis.specs.openapi.checks")

ENDLESS = r"/stream\.|/camera\.|/events$"
"""Never end, so they are read by tests of their own."""

ENDING = r"/stop$"
ENOUGH = Limits(requests_rate=1e6, requests_burst=1e6, refusals_rate=1e6, refusals_burst=1e6)

described = schemathesis.openapi.from_dict(document())
answering = described.exclude(path_regex=f"{ENDLESS}|{ENDING}")


@pytest.fixture(scope="module")
def daemon():
    with FakeDaemon(limits=ENOUGH) as running:
        yield running


@answering.parametrize()
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_described(case, daemon):
    # No schema knows the names of the styles, so a well-formed command may still be refused.
    case.call_and_validate(
        base_url=daemon.address, headers=daemon.bearer, excluded_checks=[checks.positive_data_acceptance]
    )


@described.include(path_regex="/commands$").parametrize()
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_command_is_a_fault(case, daemon):
    answer = case.call(base_url=daemon.address, headers=daemon.bearer)
    assert answer.status_code < 500
