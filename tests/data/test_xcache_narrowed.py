"""The token that the facility's identity provider makes for Labs, at the cache and beyond it.

XRootD hands the token of an https client on to the origin in every version so far. So what a Lab
gets must open nothing but the user's own paths at the data's doors: this is why it is exchanged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from testbed.iam import start_iam
from testbed.xrootd import started_stack
from testbed.xrootd_6 import cache_under_test, content

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.iam import IAM
    from testbed.xrootd import Stack

CMS, ATLAS = "/store/cms/hello.txt", "/store/atlas/hello.txt"


@dataclass(frozen=True)
class Session:
    """Alice at a cache that trusts a real development IAM.

    Parameters
    ----------
    iam, stack
        The servers.
    login
        Her access token as the hub got it.
    lab
        What her Lab gets, by the exchange that the hub does with the facility's default scopes.
    """

    iam: IAM
    stack: Stack
    login: str
    lab: str


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """Give Alice with her tokens."""
    root = tmp_path_factory.mktemp("narrowed")
    iam = start_iam(root)
    try:
        with started_stack(root, iam=iam.issuer) as stack:
            cache_under_test(stack)
            for path in (CMS, ATLAS):
                stack.write(path, content(path))
            audience = stack.facility.identity.audiences["storage"]
            login = iam.log_in("alice")["access_token"]
            answer = iam.exchange(login, audience.scope, audience=audience.audience)
            assert answer.status == 200, answer.text
            yield Session(iam, stack, login, answer.json["access_token"])
    finally:
        iam.stop()


def claims_of(token: str) -> dict[str, Any]:
    """Return what a token says."""
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


def test_token_for_labs_holds_paths_and_no_groups(session: Session) -> None:
    assert claims_of(session.login)["wlcg.groups"] == ["/cms", "/cms/uscms"]
    claims = claims_of(session.lab)
    assert claims["aud"] == session.stack.audience
    scopes = claims["scope"].split()
    assert scopes
    assert all(re.fullmatch(r"storage\.read:/store/[a-z]+", scope) for scope in scopes)
    assert [name for name in claims if "groups" in name or "entitlement" in name] == []
    assert {"name", "email", "preferred_username"}.isdisjoint(claims)


def test_only_the_users_paths_are_read_with_the_token_for_labs(session: Session) -> None:
    stack = session.stack
    assert stack.read(CMS, session.lab) == content(CMS)
    assert stack.get(CMS, session.lab) == (200, content(CMS))
    # Alice is not in ATLAS: the provider has left that path out
    assert stack.get(ATLAS, session.lab)[0] == 403
    done = stack.client("xrdcp", "-s", stack.url(ATLAS), "-", token=session.lab)
    assert (done.returncode != 0, done.stdout) == (True, b"")


def test_token_that_the_origin_sees_opens_nothing_but_its_paths(session: Session) -> None:
    stack, iam = session.stack, session.iam
    path = "/store/cms/captured.txt"
    stack.write(path, content(path))
    assert stack.get(path, session.lab) == (200, content(path))
    seen = re.search(rb"authz=Bearer%20([\w.-]+)", stack.meter.payload())
    assert seen, "XRootD has stopped to hand tokens on: say so in the documents"
    token = seen[1].decode()
    assert token == session.lab
    assert session.login.encode() not in stack.meter.payload()
    # no other service is its audience, and it opens no data of others
    assert claims_of(token)["aud"] == stack.audience
    assert stack.get(ATLAS, token)[0] == 403
    # it says nothing about the person
    bearer = {"Authorization": f"Bearer {token}"}
    answer = iam.browser().send(f"{iam.issuer}userinfo", headers=bearer)
    assert answer.status == 403, answer.text
    # nor does it become more: that takes the hub's secret, and then only less comes out
    alone = iam.browser().send(
        f"{iam.issuer}token",
        {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "client_id": iam.client.client_id,
            "subject_token": token,
            "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "scope": "storage.read:/store/cms",
        },
    )
    assert alone.status == 401, alone.text
    for more in ("wlcg.groups", "storage.read:/", "openid", "offline_access"):
        answer = iam.exchange(token, more, audience="https://wlcg.cern.ch/jwt/v1/any")
        assert answer.status in {400, 403}, answer.text
