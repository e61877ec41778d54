"""Fixtures of all parts; each part's own file is in ``testbed``."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# a machine that is busy with other things says nothing about the code: time is measured elsewhere;
# nor is the first draw of a text too slow: it makes Hypothesis' tables of Unicode in a fresh clone
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

pytest_plugins = [
    "testbed.iam",  # before those that import it, or pytest cannot rewrite its asserts
    "testbed.browser",
    "testbed.front_end_lab",
    "testbed.cluster_panel",
    "testbed.profile_hub",
    "testbed.page_hub",
    "testbed.spawn_page",
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
    "testbed.fake_nvml",
    "testbed.small_gateway",
    "testbed.lab_clusters",
    "testbed.gateway",
    "testbed.rucio",
    "testbed.lab_rucio",
    "testbed.lab_xrootd",
    "testbed.xcache_pod",
    "testbed.kube.fixtures",
    "testbed.images",
    "testbed.kube_facility",
    "testbed.kube_page_hub",
]
