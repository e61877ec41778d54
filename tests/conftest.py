"""Fixtures of all parts; each part's own file is in ``testbed``."""

from __future__ import annotations

from hypothesis import settings

# a machine that is busy with other things says nothing about the code: time is measured elsewhere
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

pytest_plugins = [
    "testbed.iam",  # before those that import it, or pytest cannot rewrite its asserts
    "testbed.browser",
    "testbed.front_end_lab",
    "testbed.profile_hub",
    "testbed.iam_hub",
    "testbed.clock_hub",
    "testbed.oidc_hub",
    "testbed.canaille",
    "testbed.storage",
    "testbed.network",
    "testbed.xrootd",
    "testbed.xrootd_6",
    "testbed.facility",
    "testbed.webdav",  # likewise
    "testbed.lab_hub",
    "testbed.lab_server",
    "testbed.gateway",
    "testbed.rucio",
    "testbed.lab_rucio",
    "testbed.lab_xrootd",
    "testbed.xcache_pod",
]
