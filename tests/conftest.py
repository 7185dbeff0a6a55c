"""What every test run shares."""

import os
import shutil

import pytest

IN_CI = os.environ.get("CI") == "true"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bills", type=int, default=100_000, help="how many random bills are compared with Decimal")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A missing service fails in CI, and is a skip that says why on a laptop."""
    if IN_CI or CHROMIUM:
        return
    for item in items:
        if "browser" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="Debian's chromium is not installed"))
