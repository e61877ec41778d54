"""Fixtures of all parts; each part's own file is in ``testbed``."""

from __future__ import annotations

pytest_plugins = [
    "testbed.iam",
]
