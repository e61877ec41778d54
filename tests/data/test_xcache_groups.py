"""Who reads what from a cache that also takes groups, as ``xcache.groups`` of the facility file.

The default has none. See `test_xcache_paths` for the rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from testbed.xrootd_6_tokens import CMS_READ, HELLO, Kind, cases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.xrootd_6 import Protocol, XCache

OPEN = "/store/other/hello.txt"
CMS = {"wlcg.groups": ["/cms"]}

KINDS = (
    Kind("member", allowed=True, scope="openid", claims=CMS),
    Kind("one of two groups", allowed=True, scope="openid", claims={"wlcg.groups": ["/x", "/cms"]}),
    Kind(
        "member without scope claim",
        allowed=True,
        claims=CMS | {"drop": ("scope",)},
        fault="scope-claim",
    ),
    Kind("no groups", allowed=False, scope="openid"),
    Kind("other group", allowed=False, scope="openid", claims={"wlcg.groups": ["/atlas"]}),
    Kind("child group", allowed=False, scope="openid", claims={"wlcg.groups": ["/cms/uscms"]}),
    Kind("longer name", allowed=False, scope="openid", claims={"wlcg.groups": ["/cmsx"]}),
    Kind("member, other path", allowed=False, scope="openid", path=OPEN, claims=CMS),
    Kind(
        "member, other audience",
        allowed=False,
        scope="openid",
        claims=CMS | {"aud": "https://x.example"},
    ),
    Kind(
        "member, expired",
        allowed=False,
        scope="openid",
        claims=CMS | {"iat": -700, "nbf": -700, "exp": -100},
    ),
    Kind(
        "member, narrowed to another path",
        allowed=False,
        scope="storage.read:/store/other",
        claims=CMS,
        fault="group-widening",
    ),
    Kind("member, narrowed to this path", allowed=True, scope=f"storage.read:{HELLO}", claims=CMS),
    Kind("path without groups", allowed=True, scope=CMS_READ),
    Kind("other path without groups", allowed=False, scope="storage.read:/store/other"),
)


@pytest.fixture(scope="module")
def grouped(xcache: XCache) -> Iterator[XCache]:
    """Give a cache that lets members of /cms read /store/cms."""
    with xcache.configured(groups={"/cms": ("/store/cms",)}):
        yield xcache


@pytest.mark.parametrize(("kind", "protocol"), cases(KINDS))
def test_file_is_read_or_refused_when_the_cache_knows_groups(
    grouped: XCache, kind: Kind, protocol: Protocol, request: pytest.FixtureRequest
) -> None:
    grouped.expect_fault(request, kind.fault)
    assert grouped.reads(protocol, kind.path, kind.token(grouped.stack)) is kind.allowed


@pytest.mark.parametrize("protocol", ["https", "root"])
def test_file_is_refused_when_there_is_no_token_and_the_cache_knows_groups(
    grouped: XCache, protocol: Protocol
) -> None:
    assert grouped.reads(protocol, HELLO, None) is False
