"""Rules of the WLCG Common JWT Profiles 1.3 that no other test sees; the identity page lists all."""

from __future__ import annotations

import asyncio
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from af_hub.embedded.storage.grants import Grants, Right
from af_hub.errors import IAMUnavailable, IdentityError
from af_hub.iam.broker import Audience, Broker
from af_hub.iam.claims import groups_of, identity_of
from af_hub.iam.discovery import Issuer
from af_hub.iam.groups import matches_any
from af_hub.iam.http import IAMHttp
from af_hub.iam.names import names_of
from af_hub.iam.reader import LoginReader
from af_hub.iam.session import Login, Sessions
from af_hub.iam.tokens import TokenAnswer, TokenEndpoint
from af_hub.iam.verify import verify_access_token, verify_id_token
from af_hub.secret import Secret
from testbed.iam import IAM, free_ports
from testbed.logins import MemoryUser
from testbed.oidc_provider import public, rsa_key, signed

if TYPE_CHECKING:
    from testbed.oidc_provider import OidcProvider

NOW = 1_800_000_000.0
ISSUER = "https://iam.example"
STORAGE = "https://storage.example"
ANY = "https://wlcg.cern.ch/jwt/v1/any"
KEYS = {"keys": [public("first", rsa_key("first"))]}
NONCE = "n-0S6_WzA2Mj"
"""What the testbed's logins are begun with."""


def access_claims(**changes: Any) -> dict[str, Any]:
    good = {
        "iss": ISSUER,
        "sub": "sub-alice",
        "aud": STORAGE,
        "iat": int(NOW),
        "exp": int(NOW) + 3600,
        "jti": "one",
        "scope": "storage.read:/store",
        "wlcg.ver": "1.0",
    }
    return {name: value for name, value in (good | changes).items() if value is not None}


def accept(audience: str | tuple[str, ...] = STORAGE, **changes: Any) -> dict[str, Any]:
    """Verify an access token as a service does that goes by `audience`."""
    token = signed(access_claims(**changes))
    return verify_access_token(token, KEYS, issuer=ISSUER, audience=audience, now=NOW)


def code_of(**changes: Any) -> str:
    with pytest.raises(IdentityError) as caught:
        accept(**changes)
    return caught.value.code


# --- claims, by whoever receives a token ---


@pytest.mark.parametrize("version", ["2.0", "0.1", "1", "1.0.0", "v1.0", 1.0, ["1.0"]])
def test_access_token_is_refused_when_its_version_is_unknown(version: object) -> None:
    assert code_of(**{"wlcg.ver": version}) == "profile-version"


@pytest.mark.parametrize("version", ["1.0", "1.3", "1.99", None])
def test_access_token_is_accepted_when_only_the_minor_version_is_newer(version: str | None) -> None:
    changes: dict[str, Any] = {"wlcg.ver": version}
    assert accept(**changes)["sub"] == "sub-alice"


@pytest.mark.parametrize(
    "audience",
    ["https://Storage.example", f"{STORAGE}/", f"{STORAGE}:443", "storage.example", [ANY], ANY],
)
def test_token_is_refused_when_its_audience_is_another_string(audience: object) -> None:
    assert code_of(aud=audience) == "token-audience"


def test_token_for_everybody_is_accepted_when_the_service_says_so() -> None:
    assert accept((STORAGE, ANY), aud=ANY)
    assert accept(aud=["https://other.example", STORAGE])


@pytest.mark.parametrize(("left", "accepted"), [(1, True), (0, False), (-1, False)])
def test_token_ends_on_the_second_when_no_clock_difference_is_granted(
    left: int, accepted: bool
) -> None:
    token = signed(access_claims(exp=int(NOW) + left))
    given: dict[str, Any] = {"issuer": ISSUER, "audience": STORAGE, "now": NOW}
    if accepted:
        assert verify_access_token(token, KEYS, leeway=0, **given)
        return
    with pytest.raises(IdentityError) as caught:
        verify_access_token(token, KEYS, leeway=0, **given)
    assert caught.value.code == "token-expired"


def test_persons_differ_when_only_the_case_of_the_subject_does() -> None:
    assert names_of(ISSUER, "abc", "alice").ledger != names_of(ISSUER, "ABC", "alice").ledger


def test_claims_are_ignored_when_nobody_knows_them() -> None:
    known = {
        "iss": ISSUER,
        "sub": "s",
        "preferred_username": "alice",
        "wlcg.groups": ["/cms"],
        "wlcg.ver": "1.0",
    }
    more: dict[str, Any] = {
        "admin": True,
        "wlcg.roles": ["/cms/af-admins"],
        "groups": ["cms/af-admins"],
        "roles": ["cms/af-admins"],
        "storage.read": "/",
        "scope": "wlcg.groups:/cms/af-admins",
    }

    def identity(claims: dict[str, Any]) -> Any:
        return identity_of(claims, profile="wlcg", username_claim="preferred_username")

    assert identity(known | more) == identity(known)
    allowed = Grants.from_claims(access_claims(**{**more, "scope": "storage.read:/store/cms"}))
    assert str(allowed) == "storage.read:/store/cms"


def test_only_asserted_groups_count_when_rights_are_asked_for() -> None:
    groups = groups_of({"wlcg.groups": ["/cms/uscms", "/atlas"]})
    assert matches_any(groups, ["/cms/uscms"])
    for pattern in ("/cms", "/CMS/uscms", "/cms/USCMS", "/cms/uscms/production", "/cms/usc"):
        assert not matches_any(groups, [pattern])


@pytest.mark.parametrize("right", list(Right))
def test_nothing_else_is_allowed_when_a_token_may_stage(right: Right) -> None:
    token = Grants.from_claims({"scope": "storage.stage:/store storage.poll:/store"})
    assert not token.allow(right, "/store/cms/a.root")


# --- issuer and keys ---


def test_token_is_refused_when_it_was_not_signed_with_its_own_key_id() -> None:
    keys = {"keys": [public("first", rsa_key("second")), public("second", rsa_key("first"))]}
    with pytest.raises(IdentityError) as caught:
        verify_access_token(signed(access_claims()), keys, issuer=ISSUER, audience=STORAGE, now=NOW)
    assert caught.value.code == "token-signature"


async def test_no_answer_is_taken_when_the_certificate_is_of_another_host(iam: IAM) -> None:
    layout = iam.layout
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(layout.server_certificate, layout.server_key)
    (port,) = free_ports(1)
    # a good certificate of the trusted authority, but not for this address
    server = await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.2", port, ssl=context
    )
    async with server:
        with pytest.raises(IAMUnavailable) as caught:
            await IAMHttp(str(layout.ca_bundle)).get(f"https://127.0.0.2:{port}/", purpose="keys")
    assert caught.value.code == "iam-certificate"


@pytest.mark.parametrize(
    "name", ["jwks_uri", "token_endpoint", "userinfo_endpoint", "revocation_endpoint"]
)
async def test_nothing_is_sent_when_discovery_names_an_address_without_https(
    oidc_provider: OidcProvider, name: str
) -> None:
    oidc_provider.behaviour.discovery = {name: "http://iam.example/x"}
    issuer = Issuer(oidc_provider.url, IAMHttp(str(oidc_provider.layout.ca_bundle)))
    with pytest.raises(IAMUnavailable) as caught:
        await issuer.endpoints()
    assert caught.value.code == "iam-answer"


# --- refresh and exchange, by a client ---


@dataclass
class Client:
    """The hub's client: the real parts, wired as `IAMAuthenticator` does it."""

    user: MemoryUser
    endpoint: TokenEndpoint
    sessions: Sessions


async def client_of(iam: IAM, username: str) -> Client:
    """Log somebody in at the identity provider."""
    http = IAMHttp(str(iam.layout.ca_bundle))
    issuer = Issuer(iam.issuer, http)
    endpoint = TokenEndpoint(
        issuer, http, client_id="af-hub", secret=lambda: Secret(iam.secret), basic_auth=False
    )
    reader = LoginReader(
        issuer,
        endpoint,
        client_id="af-hub",
        profile="wlcg",
        username_claim="preferred_username",
        algorithms=("RS256",),
    )

    async def apply(user: MemoryUser, login: Login) -> None:
        await user.save_auth_state(login.to_state())

    answer = TokenAnswer.parse(iam.log_in(username), asked="", now=time.time())
    name, login = await reader.first(answer, nonce=NONCE)
    user = MemoryUser(name, login.to_state())
    return Client(user, endpoint, Sessions(endpoint, accept=reader.again, apply=apply))


async def test_old_refresh_token_is_discarded_when_a_new_one_came(iam: IAM) -> None:
    client = await client_of(iam, "alice")
    assert client.user.state is not None
    old = client.user.state["refresh_token"]
    login = await client.sessions.ensure(client.user, margin=0, max_age=0)
    assert login.refresh_token is not None
    assert login.refresh_token.reveal() == client.user.state["refresh_token"] != old
    assert old not in str(client.user.state)


async def test_given_tokens_follow_the_profile_when_the_broker_made_them(iam: IAM) -> None:
    client = await client_of(iam, "alice")
    audiences = {
        "storage": Audience(STORAGE, "storage.read:/store/cms"),
        "other": Audience("https://other.example", "storage.read:/store/open"),
    }
    broker = Broker(
        client.endpoint,
        client.sessions,
        audiences,
        login=lambda user: client.sessions.ensure(user, margin=60, max_age=600),
    )
    iam.forget_calls()
    keys = iam.browser().send(f"{iam.issuer}jwk").json
    ids = set()
    for name, audience in audiences.items():
        given = await broker.token(client.user, name)
        token = given.access_token.reveal()
        header = jwt.get_unverified_header(token)
        assert header["alg"] == "RS256"
        assert header["kid"] in [key["kid"] for key in keys["keys"]]
        claims = verify_access_token(
            token, keys, issuer=given.issuer, audience=audience.audience, now=time.time()
        )
        assert claims["wlcg.ver"] == "1.0"
        assert claims["scope"] == given.scope == audience.scope
        assert claims["nbf"] <= claims["iat"] < claims["exp"] <= claims["iat"] + 6 * 3600
        assert claims["sub"] == (client.user.state or {})["sub"]
        assert claims["act"] == {"sub": "af-hub"}
        assert "wlcg.groups" not in claims
        ids.add(claims["jti"])
    assert len(ids) == len(audiences)
    # by exchange, and the login itself is left alone
    grants = {call.grant for call in iam.calls("token")}
    assert grants == {"urn:ietf:params:oauth:grant-type:token-exchange"}


async def test_groups_end_when_the_next_token_does_not_assert_them(iam: IAM) -> None:
    client = await client_of(iam, "alice")
    login = Login.from_state(client.user.state)
    assert login is not None
    assert login.groups == ("/cms", "/cms/uscms")
    with iam.switched(id_token={"wlcg.groups": None}):
        login = await client.sessions.ensure(client.user, margin=0, max_age=0)
    assert login.groups == ()


def test_id_token_is_for_the_hub_only_when_it_is_accepted() -> None:
    claims = access_claims(aud="af-hub", nonce="n", **{"wlcg.ver": None})
    given: dict[str, Any] = {"issuer": ISSUER, "client_id": "af-hub", "nonce": "n", "now": NOW}
    assert verify_id_token(signed(claims), KEYS, **given)
    with pytest.raises(IdentityError):
        verify_id_token(signed(claims | {"aud": ANY}), KEYS, **given)
