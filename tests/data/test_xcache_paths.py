"""Who reads what from a cache that takes tokens with paths only, as the facility's own does.

Every kind of token over https and over root:// with ztn. The rules are those of the WLCG Common JWT
Profile; faults of XRootD that are known upstream are expected to fail, strictly, so that a version
without them is noticed.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import jwt
import pytest

from testbed.xrootd_6 import PROTOCOLS, Protocol, XCache, content
from testbed.xrootd_6_tokens import CMS_READ, FOREIGN_KEY, HELLO, Kind, cases

if TYPE_CHECKING:
    from collections.abc import Callable

DEEP = "/store/cms/deep/hello.txt"
OPEN = "/store/other/hello.txt"
ANY_AUDIENCE = "https://wlcg.cern.ch/jwt/v1/any"

KINDS = (
    Kind("everything", allowed=True, scope="storage.read:/"),
    Kind("ES256", allowed=True, claims={"algorithm": "ES256"}),
    Kind("list of audiences", allowed=True, claims={"aud": ["https://x.example"]}),
    Kind("file below", allowed=True, path=DEEP),
    Kind("narrowed, inside", allowed=True, scope="storage.read:/store/cms/deep", path=DEEP),
    Kind("narrowed, outside", allowed=False, scope="storage.read:/store/cms/deep"),
    Kind("one file only", allowed=True, scope=f"storage.read:{HELLO}"),
    Kind("second of two paths", allowed=True, scope=f"storage.read:/store/other {CMS_READ}"),
    Kind("other path", allowed=False, scope="storage.read:/store/other"),
    Kind("beginning of a name", allowed=False, scope="storage.read:/store/cm", fault="path-prefix"),
    Kind("longer name", allowed=False, scope="storage.read:/store/cmsx"),
    Kind("capitals", allowed=False, scope="storage.read:/STORE/CMS"),
    Kind(
        "way up in the scope",
        allowed=False,
        scope=f"{CMS_READ}/../other",
        path=OPEN,
        fault="scope-way-up",
    ),
    Kind("no path in the scope", allowed=False, scope="storage.read", fault="scope-no-path"),
    Kind("other operation", allowed=False, scope="storage.create:/store/cms"),
    Kind("no storage scope", allowed=False, scope="openid profile"),
    Kind("other audience", allowed=False, claims={"aud": "https://x.example"}),
    # the profile's audience for every service; scitokens-cpp takes it whatever is configured
    Kind("any audience", allowed=True, claims={"aud": ANY_AUDIENCE}),
    Kind("no audience", allowed=False, claims={"drop": ("aud",)}),
    Kind("other issuer", allowed=False, claims={"iss": "https://iam.example"}),
    Kind("unknown key id", allowed=False, claims={"kid": "unknown"}),
    Kind("other key", allowed=False, claims={"key": FOREIGN_KEY}),
    Kind("expired", allowed=False, claims={"iat": -700, "nbf": -700, "exp": -100}),
    Kind("not yet", allowed=False, claims={"nbf": 500}),
    Kind("no nbf", allowed=True, claims={"drop": ("nbf",)}, fault="no-nbf"),
    Kind("newer profile", allowed=True, claims={"wlcg.ver": "1.3"}, fault="newer-profile"),
    Kind("no profile", allowed=False, claims={"drop": ("wlcg.ver",)}),
    Kind(
        "SciToken",
        allowed=True,
        scope="read:/store/cms",
        claims={"drop": ("wlcg.ver",), "ver": "scitoken:2.0"},
    ),
    Kind("groups only", allowed=False, scope="openid", claims={"wlcg.groups": ["/cms"]}),
    Kind(
        "groups beside another path",
        allowed=False,
        scope="storage.read:/store/other",
        claims={"wlcg.groups": ["/cms"]},
    ),
)


@pytest.mark.parametrize(("kind", "protocol"), cases(KINDS))
def test_file_is_read_or_refused_when_tokens_have_paths(
    xcache: XCache, kind: Kind, protocol: Protocol, request: pytest.FixtureRequest
) -> None:
    xcache.expect_fault(request, kind.fault)
    assert xcache.reads(protocol, kind.path, kind.token(xcache.stack)) is kind.allowed


def no_token(_: XCache) -> str | None:
    """Return none."""
    return None


def garbage(_: XCache) -> str | None:
    """Return what was never a token."""
    return "eyJhbGciOiJSUzI1NiJ9.garbage.garbage"


def unsigned(xcache: XCache) -> str | None:
    """Return a good token without a signature."""
    claims = jwt.decode(xcache.stack.token(), options={"verify_signature": False})
    return jwt.encode(claims, "", algorithm="none", headers={"kid": xcache.stack.issuer.kid})


def altered(xcache: XCache) -> str | None:
    """Return a token whose scope was changed after it was signed."""
    head, _, signature = xcache.stack.token("storage.read:/store/other").split(".")
    return f"{head}.{xcache.stack.token().split('.')[1]}.{signature}"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("make", [no_token, garbage, unsigned, altered])
def test_file_is_refused_when_nobody_signed_for_it(
    xcache: XCache, make: Callable[[XCache], str | None], protocol: Protocol
) -> None:
    assert xcache.reads(protocol, HELLO, make(xcache)) is False


@pytest.fixture(scope="module")
def used_up(xcache: XCache) -> str:
    """Give a token that was good over both protocols, and is not any more."""
    end = int(time.time()) + 3
    token = xcache.stack.token(exp=end)
    assert all(xcache.reads(protocol, HELLO, token) for protocol in PROTOCOLS)
    # nothing but time can be waited for; whole seconds are rounded here and there
    time.sleep(max(0.0, end + 2 - time.time()))
    return token


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_file_is_refused_when_the_token_has_expired_since_its_last_use(
    xcache: XCache, used_up: str, protocol: Protocol, request: pytest.FixtureRequest
) -> None:
    if protocol == "https":  # ztn looks at each login's token anew
        xcache.expect_fault(request, "late-expiry")
    assert xcache.reads(protocol, HELLO, used_up) is False


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_token_in_the_address_counts_as_any_other(xcache: XCache, protocol: Protocol) -> None:
    good, other = xcache.stack.token(), xcache.stack.token("storage.read:/store/other")
    # root:// logs in with a token anyhow
    login = other if protocol == "root" else None
    assert xcache.reads(protocol, f"{HELLO}?authz=Bearer%20{good}", login) is True
    assert xcache.reads(protocol, f"{HELLO}?authz=Bearer%20{other}", login) is False
    assert xcache.reads(protocol, f"{HELLO}?authz=", login) is False


def test_nothing_is_written_or_removed_when_the_token_would_allow_it(xcache: XCache) -> None:
    stack = xcache.stack
    scope = " ".join(f"storage.{name}:/" for name in ("read", "create", "modify"))
    token = stack.token(scope)
    for command in (
        ("xrdcp", "-s", "-f", "/etc/hostname", stack.url(HELLO)),
        ("xrdcp", "-s", "/etc/hostname", stack.url("/store/cms/new.txt")),
        ("xrdfs", f"root://127.0.0.1:{stack.port}", "rm", HELLO),
        ("xrdfs", f"root://127.0.0.1:{stack.port}", "mkdir", "/store/cms/new"),
        ("xrdfs", f"root://127.0.0.1:{stack.port}", "mv", HELLO, f"{HELLO}.old"),
        ("xrdfs", f"root://127.0.0.1:{stack.port}", "truncate", HELLO, "1"),
        ("xrdfs", f"root://127.0.0.1:{stack.port}", "chmod", HELLO, "rwxrwxrwx"),
    ):
        done = stack.client(*command, token=token)
        assert done.returncode != 0, command
    assert (stack.layout.storage / HELLO.lstrip("/")).read_bytes() == content(HELLO)
    assert not (stack.layout.store / "cms" / "new.txt").exists()
    assert not (stack.layout.store / "cms" / "new").exists()
