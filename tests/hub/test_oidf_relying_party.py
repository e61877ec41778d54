"""The OpenID Foundation's relying-party modules for the code flow, by their names.

Conformance suite of 2026-08: the plan ``oidcc-client-basic-certification-test-plan``, and what the
suite has beside it for negatives, discovery, key rotation and refresh (`SUITE`; a test sees that
none is missing).

Left out are the modules of other flows (implicit, hybrid), and those of logout:
``oidcc-client-test-rp-backchannel-rpinitlogout`` (and its ``-alg-none``, ``-no-event``,
``-with-nonce``, ``-wrong-alg``, ``-wrong-aud``, ``-wrong-event``, ``-wrong-iss``), those of the front
channel, and ``oidcc-client-test-rp-init-logout`` (and ``-no-state``, ``-other-state``). INDIGO IAM's
discovery document has neither ``end_session_endpoint`` nor ``backchannel_logout_supported`` nor
``frontchannel_logout_supported``, so the authenticator has no address that takes a logout token
which one could forge, and no redirect back with a ``state``. Logging out revokes the tokens instead
(``test_login_iam``, ``test_canaille``).
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from af_hub.iam.signature import half_hash
from testbed.oidc_provider import CLIENT, curve_key, public, rsa_key, signed, unsigned

if TYPE_CHECKING:
    from testbed.oidc_hub import OidcHub
    from testbed.oidc_provider import Behaviour


SUITE = """
test test-invalid-iss test-missing-sub test-invalid-aud test-missing-iat
test-kid-absent-single-jwks test-kid-absent-multiple-jwks test-idtoken-sig-rs256
test-idtoken-sig-none test-invalid-sig-rs256 test-userinfo-invalid-sub test-nonce-invalid
test-scope-userinfo-claims test-client-secret-basic

test-missing-aud test-invalid-sig-es256 test-invalid-sig-hs256 test-invalid-athash
test-missing-athash test-invalid-chash test-discovery-issuer-mismatch
test-discovery-jwks-uri-keys test-discovery-openid-config test-signing-key-rotation
test-signing-key-rotation-just-before-signing test-refresh-token
test-refresh-token-invalid-issuer test-refresh-token-invalid-sub test-userinfo-signed
test-userinfo-bearer-header test-userinfo-bearer-body test-aggregated-claims
test-distributed-claims test-form-post-error test-nonce-unless-code-flow
test-mtls-endpoint-aliases
"""
"""The suite's modules, without ``oidcc-client-`` before each: the basic plan, then the others."""

JWT = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.")


def sign_by(**how: Any) -> Any:
    """Return a signing function."""
    return lambda claims: signed(claims, **how)


def sign_by_secret(claims: dict[str, Any]) -> str:
    """Sign with the client secret."""
    return signed(claims, CLIENT[1] * 2, alg="HS256")


def break_signature(key: Any, **how: Any) -> Any:
    """Return a function that changes a signature."""

    def sign(claims: dict[str, Any]) -> str:
        head, _, signature = signed(claims, key, **how).rpartition(".")
        return f"{head}.{'A' if signature[9] != 'A' else 'B'}{signature[1:]}"[:-9] + "A" * 9

    return sign


def add_hashes(*, right: bool) -> Any:
    """Return a function that adds ``at_hash`` and ``c_hash``."""

    def finish(claims: dict[str, Any], answer: dict[str, Any]) -> None:
        claims["at_hash"] = half_hash(answer["access_token"] if right else "another", "RS256")
        claims["c_hash"] = half_hash(answer["code"], "RS256")

    return finish


def wrong_code_hash(claims: dict[str, Any], _: dict[str, Any]) -> None:
    """Add a ``c_hash`` of another code."""
    claims["c_hash"] = half_hash("another", "RS256")


TWO_KEYS = [public("first", rsa_key("first")), public("second", rsa_key("second"))]
SOURCES = {
    "aggregated": {"src": {"JWT": "e30.e30.e30"}},
    "distributed": {"src": {"endpoint": "https://127.0.0.1:9/claims", "access_token": "x"}},
}

MODULES: dict[str, tuple[dict[str, Any], str]] = {
    # --- basic ---
    "test": ({}, "accepted"),
    "test-invalid-iss": ({"id_claims": {"iss": "https://evil.example/"}}, "token-issuer"),
    "test-missing-sub": ({"id_claims": {"sub": None}}, "token-claims"),
    "test-invalid-aud": ({"id_claims": {"aud": "somebody"}}, "token-audience"),
    "test-missing-iat": ({"id_claims": {"iat": None}}, "token-claims"),
    "test-kid-absent-single-jwks": (
        {"sign": sign_by(kid=None), "keys": [public(None, rsa_key("first"))]},
        "accepted",
    ),
    "test-kid-absent-multiple-jwks": (
        {"sign": sign_by(kid=None), "keys": TWO_KEYS},
        "token-key-unknown",
    ),
    "test-idtoken-sig-rs256": ({"sign": sign_by(alg="RS256")}, "accepted"),
    "test-idtoken-sig-none": ({"sign": unsigned}, "token-algorithm"),
    "test-invalid-sig-rs256": ({"sign": break_signature(rsa_key("first"))}, "token-signature"),
    "test-userinfo-invalid-sub": ({"userinfo": {"sub": "sub-bob"}}, "userinfo-subject"),
    "test-nonce-invalid": ({"id_claims": {"nonce": "planted"}}, "token-nonce"),
    # --- extra ---
    "test-missing-aud": ({"id_claims": {"aud": None}}, "token-audience"),
    "test-invalid-sig-es256": (
        {"sign": break_signature(curve_key("c"), kid="c", alg="ES256")},
        "token-signature",
    ),
    "test-invalid-sig-hs256": ({"sign": sign_by_secret}, "token-algorithm"),
    "test-invalid-athash": ({"finish": add_hashes(right=False)}, "token-hash"),
    "test-missing-athash": ({"id_claims": {"at_hash": None}}, "accepted"),
    "test-invalid-chash": ({"finish": wrong_code_hash}, "token-hash"),
    "test-nonce-unless-code-flow": ({"id_claims": {"nonce": None}}, "token-nonce"),
    "test-aggregated-claims": (
        {"userinfo": {"_claim_names": {"a": "src"}, "_claim_sources": SOURCES["aggregated"]}},
        "accepted",
    ),
    "test-distributed-claims": (
        {"userinfo": {"_claim_names": {"a": "src"}, "_claim_sources": SOURCES["distributed"]}},
        "accepted",
    ),
    # --- discovery ---
    "test-discovery-openid-config": ({}, "accepted"),
    "test-discovery-issuer-mismatch": (
        {"discovery": {"issuer": "https://evil.example/"}},
        "iam-issuer",
    ),
    "test-discovery-jwks-uri-keys": ({"keys": TWO_KEYS}, "accepted"),
    "test-mtls-endpoint-aliases": (
        {"discovery": {"mtls_endpoint_aliases": {"token_endpoint": "https://127.0.0.1:9/token"}}},
        "accepted",
    ),
    # --- what the suite has no module for ---
    "untrusted-audience": ({"id_claims": {"aud": [CLIENT[0], "untrusted"]}}, "token-audience"),
    "other-azp": ({"id_claims": {"azp": "somebody"}}, "token-azp"),
    "missing-exp": ({"id_claims": {"exp": None}}, "token-claims"),
    "right-hashes": ({"finish": add_hashes(right=True)}, "accepted"),
    "es256": ({"sign": sign_by(key=curve_key("c"), kid="c", alg="ES256")}, "accepted"),
    "unknown-kid": ({"sign": sign_by(kid="invented")}, "token-key-unknown"),
    "not-a-jwt": ({"sign": lambda _: "planted"}, "token-malformed"),
    "missing-id-token": ({"answer": {"id_token": None}}, "token-missing"),
    "missing-access-token": ({"answer": {"access_token": None}}, "iam-answer"),
    "callback-of-another-issuer": ({"callback": {"iss": "https://evil.example"}}, "login-issuer"),
    "plain-http-endpoint": ({"discovery": {"jwks_uri": "http://evil.example/"}}, "iam-answer"),
}


def behave(hub: OidcHub, **how: Any) -> Behaviour:
    """Change how the provider behaves."""
    for name, value in how.items():
        setattr(hub.provider.behaviour, name, value)
    return hub.provider.behaviour


@pytest.mark.parametrize("module", MODULES)
def test_login_ends_as_the_module_wants_when_the_provider_plays(
    oidc_hub: OidcHub, module: str
) -> None:
    how, expected = MODULES[module]
    behave(oidc_hub, **how)
    begun = len(oidc_hub.log)
    assert oidc_hub.outcome() == expected
    log = oidc_hub.log[begun:]
    assert not JWT.search(log)
    assert "Traceback" not in log


def test_scope_userinfo_claims(oidc_hub: OidcHub) -> None:
    behave(
        oidc_hub,
        id_claims={"preferred_username": None, "groups": None},
        userinfo={"preferred_username": "alice", "groups": ["cms"]},
    )
    assert oidc_hub.outcome() == "accepted"
    asked = oidc_hub.provider.asked("/authorize")[0].query["scope"].split()
    assert {"openid", "profile", "email"} <= set(asked)


def test_client_secret_basic(oidc_hub: OidcHub) -> None:
    assert oidc_hub.outcome() == "accepted"
    (request,) = oidc_hub.provider.asked("/token")
    assert request.authorization.startswith("Basic ")
    assert "client_secret" not in request.form


def test_nonce_state_and_pkce_are_new_when_logins_begin(oidc_hub: OidcHub) -> None:
    for _ in range(3):
        assert oidc_hub.outcome() == "accepted"
    asked = [request.query for request in oidc_hub.provider.asked("/authorize")]
    for name in ("nonce", "state", "code_challenge"):
        assert len({query[name] for query in asked}) == 3
    assert {query["code_challenge_method"] for query in asked} == {"S256"}


def test_userinfo_bearer_header(oidc_hub: OidcHub) -> None:
    assert oidc_hub.outcome() == "accepted"
    (request,) = oidc_hub.provider.asked("/userinfo")
    assert (request.method, request.query, request.form) == ("GET", {}, {})
    assert request.authorization.startswith("Bearer ")


def test_userinfo_bearer_body(oidc_hub: OidcHub) -> None:
    # the token goes by header only: a provider that wants it elsewhere gets no login
    behave(oidc_hub, userinfo_body_only=True)
    assert oidc_hub.outcome() == "login-over"


@pytest.mark.parametrize(
    ("sign", "expected"),
    [
        (lambda c: signed(c | {"aud": CLIENT[0], "iss": c["iss"]}), "accepted"),
        (lambda c: signed(c | {"iss": "https://evil.example/"}), "token-issuer"),
        (lambda c: signed(c | {"aud": "somebody"}), "token-audience"),
        (lambda c: signed(c, rsa_key("second")), "token-signature"),
        (unsigned, "token-algorithm"),
    ],
    ids=["good", "issuer", "audience", "key", "none"],
)
def test_userinfo_signed(oidc_hub: OidcHub, sign: Any, expected: str) -> None:
    claims = {"iss": oidc_hub.provider.url, "aud": CLIENT[0]}
    behave(oidc_hub, userinfo_signed=lambda known: sign(claims | known))
    assert oidc_hub.outcome() == expected


def test_form_post_error(oidc_hub: OidcHub) -> None:
    browser = oidc_hub.browser()
    begun = browser.send(f"{oidc_hub.url}/hub/oauth_login")
    state = re.search(r"state=([^&]+)", begun.location)
    assert state
    page = browser.send(
        f"{oidc_hub.url}/hub/oauth_callback", {"error": "access_denied", "state": state[1]}
    )
    assert page.status in {403, 405}
    assert oidc_hub.api(browser, "user").status == 403


def rotate(behaviour: Behaviour, name: str) -> None:
    """Sign with a new key, and publish only that one."""
    behaviour.keys = [public(name, rsa_key(name))]
    behaviour.sign = sign_by(key=rsa_key(name), kid=name)


def test_signing_key_rotation(oidc_hub: OidcHub) -> None:
    assert oidc_hub.outcome() == "accepted"
    rotate(oidc_hub.provider.behaviour, "second")
    assert oidc_hub.outcome() == "accepted"
    assert len(oidc_hub.provider.asked("/jwk")) == 2
    # a second one within the cool-down: invented key ids must not drive us
    rotate(oidc_hub.provider.behaviour, "first")
    behave(oidc_hub, sign=sign_by(kid="third"))
    assert oidc_hub.outcome() == "token-key-unknown"
    assert len(oidc_hub.provider.asked("/jwk")) == 2


def test_signing_key_rotation_just_before_signing(oidc_hub: OidcHub) -> None:
    assert oidc_hub.outcome() == "accepted"
    behaviour = oidc_hub.provider.behaviour
    behaviour.before_token = lambda: rotate(behaviour, "second")
    assert oidc_hub.outcome() == "accepted"


def test_refresh_token(oidc_hub: OidcHub) -> None:
    assert oidc_hub.outcome() == "accepted"
    assert oidc_hub.refreshed() == "accepted"
    grants = [request.form["grant_type"] for request in oidc_hub.provider.asked("/token")]
    assert grants[:2] == ["authorization_code", "refresh_token"]


REFRESHES: dict[str, tuple[dict[str, Any], str]] = {
    "test-refresh-token-invalid-issuer": (
        {"refresh_claims": {"iss": "https://evil.example/"}},
        "token-issuer",
    ),
    "test-refresh-token-invalid-sub": ({"refresh_claims": {"sub": "sub-bob"}}, "identity-changed"),
    # --- what the suite has no module for ---
    "invalid-aud": ({"refresh_claims": {"aud": "somebody"}}, "token-audience"),
    "old": ({"refresh_claims": {"iat": 1}}, "token-clock"),
    "invalid-sig": ({"sign": sign_by(key=rsa_key("second"))}, "token-signature"),
    "group-lost": ({"refresh_claims": {"groups": []}}, "group-not-allowed"),
    "groups-malformed": ({"refresh_claims": {"groups": "cms"}}, "groups-malformed"),
    "no-id-token": ({"answer": {"id_token": None}, "userinfo": {"groups": ["cms"]}}, "accepted"),
    "no-id-token-other-sub": (
        {"answer": {"id_token": None}, "userinfo": {"sub": "sub-bob"}},
        "userinfo-subject",
    ),
}


@pytest.mark.parametrize("module", REFRESHES)
def test_refresh_ends_as_the_module_wants_when_the_provider_plays(
    oidc_hub: OidcHub, module: str
) -> None:
    how, expected = REFRESHES[module]
    assert oidc_hub.outcome() == "accepted"
    behave(oidc_hub, **how)
    assert oidc_hub.refreshed() == expected


def times(skew: int) -> dict[str, int]:
    """Return the claims of a provider whose clock differs by `skew` seconds."""
    now = int(time.time()) + skew
    return {"iat": now, "nbf": now, "exp": now + 3600}


@pytest.mark.parametrize("skew", [-30, 30, -600, 600])
def test_clocks_may_differ_by_half_a_minute_when_users_log_in(oidc_hub: OidcHub, skew: int) -> None:
    behave(oidc_hub, id_claims=times(skew))
    assert oidc_hub.outcome() == ("accepted" if abs(skew) == 30 else "token-clock")


@pytest.mark.parametrize("skew", [-30, 30, -600, 600])
def test_clocks_may_differ_by_half_a_minute_when_logins_are_refreshed(
    oidc_hub: OidcHub, skew: int
) -> None:
    assert oidc_hub.outcome() == "accepted"
    behave(oidc_hub, refresh_claims=times(skew))
    assert oidc_hub.refreshed() == ("accepted" if abs(skew) == 30 else "token-clock")


def test_no_module_is_missing_when_the_suite_has_it() -> None:
    own = {name.replace("_", "-") for name in globals()}
    missing = set(SUITE.split()) - own - set(MODULES) - set(REFRESHES)
    assert not missing


def test_names_of_hostile_text_do_no_harm_when_users_log_in(oidc_hub: OidcHub) -> None:
    behave(oidc_hub, userinfo={"name": "\ud800\u202e<script>alert(1)</script>"})
    assert oidc_hub.outcome() == "accepted"
