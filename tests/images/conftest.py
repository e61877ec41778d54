"""Time for tests that build what they need."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.images import BUILD_PATIENCE


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the first test of an image wait until it is built."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(BUILD_PATIENCE))
