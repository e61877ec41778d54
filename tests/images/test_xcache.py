"""The XCache's image: versions without known faults, and a cache that starts from it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed.images import Inside

IMAGE = "xcache"


def test_versions_have_no_known_fault_when_asked(opened: Inside) -> None:
    found = dict(line.split() for line in opened.run("require-versions").splitlines())
    assert {"xrootd-server", "xrootd-scitokens-plugins", "libscitokens0t64"} <= set(found)
    version = opened.start("xrootd", "-v")
    assert re.search(r"v?6\.([2-9]|\d\d)\.", version.stdout + version.stderr)


def test_entrypoint_says_what_to_mount_when_nothing_is(opened: Inside) -> None:
    done = opened.start("entrypoint", "xcache")
    assert done.returncode == 1
    assert "/etc/xrootd/xrootd.cf is missing or not readable" in done.stderr


def test_exporter_needs_nothing_but_python_when_started(opened: Inside) -> None:
    assert "--listen" in opened.run("python3", "-m", "af_hub.xcache.exporter", "--help")


def test_proxy_certificates_are_made_by_what_is_there(opened: Inside) -> None:
    for program in ("xrdgsiproxy", "voms-proxy-init"):
        assert opened.run("sh", "-c", f"command -v {program}")


def test_folders_of_the_cache_are_its_users_when_seen(opened: Inside) -> None:
    for folder in ("/var/cache/xcache/data", "/run/xrootd", "/var/cache/scitokens"):
        assert opened.run("stat", "-c", "%u %a", folder) == "10940 700"
