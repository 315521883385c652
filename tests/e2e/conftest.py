"""One browser for all tests of pages; a picture of it where a test fails."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.e2e.browser import Page


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    from tests.e2e.browser import Page

    page = Page(tmp_path_factory.mktemp("chromium"))
    yield page
    page.driver.quit()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    page = getattr(item, "funcargs", {}).get("browser")
    if report.when == "call" and report.failed and page is not None:
        page.keep(f"failed-{item.name}")
    return report
