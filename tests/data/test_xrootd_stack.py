"""The origin behind its cache: reads by token, and what the origin gives to nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed.xrootd import Stack


def test_file_is_read_when_the_token_allows_it(xrootd_stack: Stack) -> None:
    content = bytes(range(256)) * 4000
    xrootd_stack.write("/store/cms/first.bin", content)
    assert xrootd_stack.read("/store/cms/first.bin", xrootd_stack.token()) == content
    assert xrootd_stack.get("/store/cms/first.bin", xrootd_stack.token()) == (200, content)
    assert "login as xcachesvc" in xrootd_stack.log("xrootd-origin")
