"""The cache while its origin is away: what it still has, an error soon, and all of it afterwards."""

from __future__ import annotations

import secrets
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from af_hub.xcache.versions import faults_of
from testbed.facility import wait_for
from testbed.xrootd_6 import PROTOCOLS, UnclearError, content

if TYPE_CHECKING:
    from testbed.xrootd_6 import Protocol, XCache

SOON = 15.0
"""Seconds until an error; the cache itself gives up after 6."""

BACK = 30.0
"""Seconds until an origin that is back is used again; the cache asks it after 10."""


NO_DATA = r"Unable to open|Socket error|timed out|closed connection"
"""How a read fails."""


def may_stall(xcache: XCache, protocol: Protocol) -> bool:
    """Tell whether this XRootD is known to leave such a read waiting."""
    codes = {fault.code for fault in faults_of(xcache.version)}
    return protocol == "https" and "https-outage" in codes


def new_file(xcache: XCache) -> str:
    """Put a file there that nobody has read."""
    path = f"/store/cms/outage/{secrets.token_hex(6)}/hello.txt"
    xcache.stack.write(path, content(path))
    return path


def reads(xcache: XCache, protocol: Protocol) -> bool:
    """Tell whether a new file is read."""
    try:
        return xcache.reads(protocol, new_file(xcache), xcache.stack.token())
    except UnclearError:
        return False


def test_reads_fail_soon_and_come_back_when_the_origin_is_away_for_a_while(xcache: XCache) -> None:
    stack = xcache.stack
    cached = new_file(xcache)
    assert all(xcache.reads(protocol, cached, stack.token()) for protocol in PROTOCOLS)
    stack.kill("xrootd-origin")
    try:
        for protocol in PROTOCOLS:
            begun = time.monotonic()
            with pytest.raises((UnclearError, OSError), match=NO_DATA):
                xcache.reads(protocol, new_file(xcache), stack.token())
            assert time.monotonic() - begun < SOON or may_stall(xcache, protocol)
            # what the cache has, it gives
            wait_for(partial(xcache.reads, protocol, cached, stack.token()), "the cache", BACK)
            # and to nobody else than before
            other = stack.token("storage.read:/store/other")
            assert xcache.reads(protocol, cached, other) is False
        stack.start("xrootd-origin")
        for protocol in PROTOCOLS:
            wait_for(partial(reads, xcache, protocol), f"reads over {protocol}", BACK)
    finally:
        if stack.processes["xrootd-origin"].poll() is not None:
            stack.start("xrootd-origin")
        # other tests shall find no connection of the cache that still waits
        stack.restart("xcache")
