"""The development IAM does by default what the real one was observed to do.

The cases follow the tables of the observation: claims by profile, refresh by the client's two
switches, error codes, exchange and revocation, the use policy.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest

from testbed.iam import CALLBACK, IAM, LOGIN_SCOPE, start_iam

if TYPE_CHECKING:
    from collections.abc import Iterator

GROUPS = frozenset({"cms", "cms/a", "cms/b", "cms/c", "cms/d", "cms/e"})
PROFILES = ("iam", "wlcg", "kc", "aarc")
MODES = {
    "reuse-clear": {"reuse_refresh_token": True, "clear_access_tokens_on_refresh": True},
    "reuse-keep": {"reuse_refresh_token": True, "clear_access_tokens_on_refresh": False},
    "rotate-clear": {"reuse_refresh_token": False, "clear_access_tokens_on_refresh": True},
    "rotate-keep": {"reuse_refresh_token": False, "clear_access_tokens_on_refresh": False},
}
SCOPE = "openid profile email offline_access wlcg.groups eduperson_entitlement"


def read(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IAM]:
    clients: dict[str, dict[str, Any]] = {name: {"token_profile": name} for name in PROFILES}
    clients["short"] = {
        "access_token_seconds": 2,
        "refresh_token_seconds": 3,
        "id_token_seconds": 1,
    }
    clients["poor"] = {"scopes": ("openid",)}
    iam = start_iam(tmp_path_factory.mktemp("iam"), more_clients=clients | MODES)
    store = iam.people()
    bob = store.person(username="bob")
    assert bob is not None
    for name in ("dave", "disabled", "unsigned"):
        store.save_person(replace(bob, sub=f"sub-{name}", username=name, groups=GROUPS))
    store.close()
    yield iam
    iam.stop()


def change(iam: IAM, username: str, **values: Any) -> None:
    store = iam.people()
    person = store.person(username=username)
    assert person is not None
    store.save_person(replace(person, **values))
    store.close()


# --- claims ---
def test_access_token_names_nobody_when_the_profile_is_iam(own: IAM) -> None:
    tokens = own.acting_as("iam").log_in("dave", SCOPE)
    access = read(tokens["access_token"])
    assert not {"groups", "wlcg.groups", "aud", "scope", "nbf", "name", "email"} & access.keys()
    identity = read(tokens["id_token"])
    assert set(identity["groups"]) == GROUPS
    assert identity["amr"] == ["pwd"]
    assert "at_hash" not in identity
    assert "auth_time" not in identity
    assert set(own.userinfo(tokens["access_token"]).json["groups"]) == GROUPS
    without = read(own.acting_as("iam").log_in("dave", "openid email")["id_token"])
    assert not {"groups", "name"} & without.keys()
    unasked = own.acting_as("iam").log_in("dave", "openid profile")["access_token"]
    assert own.userinfo(unasked).json["email"]  # with profile it comes without its scope


def test_profiles_carry_groups_in_their_own_claim(own: IAM) -> None:
    kc = read(own.acting_as("kc").log_in("dave", "openid")["access_token"])
    assert set(kc["roles"]) == GROUPS
    assert kc["scope"] == "openid"
    assert kc["nbf"] < kc["iat"]
    wlcg = own.acting_as("wlcg").log_in("dave", "openid wlcg.groups:/cms/c wlcg.groups:/nope")
    claims = read(wlcg["access_token"])
    # asked for first, then the others sorted; the group he is not in stays in the scope only
    assert claims["wlcg.groups"] == ["/cms/c", "/cms", "/cms/a", "/cms/b", "/cms/d", "/cms/e"]
    assert "wlcg.groups:/nope" in claims["scope"]
    assert claims["aud"] == "https://wlcg.cern.ch/jwt/v1/any"
    aarc = own.acting_as("aarc").log_in("dave", SCOPE)
    claims = read(aarc["access_token"])
    assert len(claims["eduperson_entitlement"]) == len(claims["entitlements"]) == len(GROUPS)
    assert "voperson_id" in claims
    assert "eduperson_scoped_affiliation" in own.userinfo(aarc["access_token"]).json
    identity = read(aarc["id_token"])
    assert set(identity["entitlements"]) == set(claims["entitlements"])
    assert identity["voperson_id"] == claims["voperson_id"]
    without = own.acting_as("aarc").log_in("dave", "openid profile")
    assert "entitlements" not in read(without["access_token"])


@pytest.mark.parametrize(("profile", "claim"), [("iam", "groups"), ("kc", "roles")])
def test_groups_come_in_any_order_when_the_profile_sorts_none(
    own: IAM, profile: str, claim: str
) -> None:
    client = own.acting_as(profile)
    tokens = client.log_in("dave", SCOPE)
    seen = set()
    for _ in range(20):
        tokens = client.refresh(tokens["refresh_token"]).json
        seen.add(tuple(read(tokens["id_token"])[claim]))
        if len(seen) > 1:
            return
    raise AssertionError(f"always {seen}")


@pytest.mark.parametrize(
    ("profile", "in_access", "in_id", "in_userinfo"),
    [
        ("iam", None, ("groups", []), None),
        ("wlcg", None, None, None),
        ("kc", ("roles", []), ("roles", []), ("roles", [])),
    ],
)
def test_group_claims_are_absent_or_empty_when_somebody_has_none(
    own: IAM,
    profile: str,
    in_access: tuple[str, list[str]] | None,
    in_id: tuple[str, list[str]] | None,
    in_userinfo: tuple[str, list[str]] | None,
) -> None:
    tokens = own.acting_as(profile).log_in("eve", SCOPE)
    found = [read(tokens["access_token"]), read(tokens["id_token"])]
    found.append(own.userinfo(tokens["access_token"]).json)
    for claims, expected in zip(found, (in_access, in_id, in_userinfo), strict=True):
        present = {n: v for n, v in claims.items() if n in {"groups", "wlcg.groups", "roles"}}
        assert present == ({expected[0]: expected[1]} if expected else {})


def test_id_token_and_userinfo_are_withheld_when_openid_is_not_asked(own: IAM) -> None:
    tokens = own.log_in("dave", "profile wlcg.groups")
    assert "id_token" not in tokens
    assert "refresh_token" not in tokens  # no offline_access
    answer = own.userinfo(tokens["access_token"])
    assert (answer.status, answer.headers.get_content_type()) == (403, "text/html")


def test_access_token_names_the_person_when_the_iam_includes_authn_info(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    iam = start_iam(tmp_path_factory.mktemp("iam"), include_authn_info=True, token_profile="iam")
    try:
        claims = read(iam.log_in("alice", "openid profile")["access_token"])
        assert set(claims["groups"]) == {"cms", "cms/uscms"}
        assert claims["preferred_username"] == "alice"
        assert "email" not in claims
    finally:
        iam.stop()


def test_keys_carry_no_algorithm(own: IAM) -> None:
    answer = own.browser().send(f"{own.issuer}jwk")
    assert [set(key) for key in answer.json["keys"]] == [{"kty", "e", "n", "kid"}]
    assert answer.headers["Cache-Control"] == "max-age=21600"


# --- refresh ---
@pytest.mark.parametrize(
    ("mode", "rotates", "old_lives", "winners"),
    [
        ("reuse-clear", False, False, 6),
        ("reuse-keep", False, True, 6),
        ("rotate-clear", True, False, 1),
        ("rotate-keep", True, False, 1),  # the deletion of the old row takes them along
    ],
)
def test_refresh_follows_the_clients_switches(
    own: IAM, mode: str, *, rotates: bool, old_lives: bool, winners: int
) -> None:
    client = own.acting_as(mode)
    old, other = client.log_in("dave", SCOPE), client.log_in("dave", SCOPE)
    new = client.refresh(old["refresh_token"]).json
    assert ("refresh_token" in new) is rotates
    assert own.is_active(old["access_token"]) is old_lives
    assert (own.userinfo(old["access_token"]).status == 200) is old_lives
    assert own.is_active(other["access_token"])  # another login of the same person
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: client.refresh(other["refresh_token"]).status, range(6)))
    assert answers.count(200) == winners
    assert set(answers) <= {200, 401}


def test_nothing_but_the_login_sticks_when_a_refresh_asks_for_less(own: IAM) -> None:
    tokens = own.log_in("dave", LOGIN_SCOPE, audience="https://login")
    assert read(tokens["access_token"])["aud"] == "https://login"
    narrow = own.refresh(tokens["refresh_token"], scope="storage.read:/store/cms", aud="x y").json
    claims = read(narrow["access_token"])
    assert claims["aud"] == ["x", "y"]
    assert "wlcg.groups" not in claims
    assert read(narrow["id_token"])["nonce"] == read(tokens["id_token"])["nonce"]
    full = read(own.refresh(narrow["refresh_token"]).json["access_token"])
    assert full["aud"] == "https://login"
    assert "wlcg.groups" in full


def test_resource_is_refused_when_the_login_did_not_have_it(own: IAM) -> None:
    token = own.log_in("dave", resource="https://mine")["refresh_token"]
    answer = own.refresh(token, resource="https://other")
    assert (answer.status, answer.json["error"]) == (400, "invalid_target")
    assert own.refresh(token, resource="https://mine").status == 200


def test_tokens_end_when_the_clients_lifetimes_are_over(own: IAM) -> None:
    client = own.acting_as("short")
    tokens = client.log_in("dave", SCOPE)
    access, identity = read(tokens["access_token"]), read(tokens["id_token"])
    assert (access["exp"] - access["iat"], identity["exp"] - identity["iat"]) == (2, 1)
    assert tokens["expires_in"] == 2
    assert read(tokens["refresh_token"])["exp"] - access["iat"] in {2, 3}  # made a moment before
    with own.switched(skew_seconds=2.5):
        assert own.userinfo(tokens["access_token"]).status == 401
    with own.switched(skew_seconds=100):
        later = own.log_in("dave", SCOPE)
    with own.switched(skew_seconds=200):  # rotation begins the refresh token's time anew
        slid = own.refresh(later["refresh_token"]).json["refresh_token"]
    assert 50 < read(slid)["exp"] - read(later["refresh_token"])["exp"] < 150
    with own.switched(skew_seconds=4):
        assert client.refresh(tokens["refresh_token"]).json["error"] == "invalid_token"


def test_groups_change_at_the_next_refresh_and_live_in_userinfo_of_iam(own: IAM) -> None:
    tokens = {name: own.acting_as(name).log_in("bob", SCOPE) for name in ("iam", "wlcg")}
    change(own, "bob", groups=frozenset({"cms", "cms/new"}))
    try:
        info = {name: own.userinfo(t["access_token"]).json for name, t in tokens.items()}
        assert set(info["iam"]["groups"]) == {"cms", "cms/new"}
        assert info["wlcg"]["wlcg.groups"] == ["/cms"]
        fresh = own.acting_as("wlcg").refresh(tokens["wlcg"]["refresh_token"]).json
        assert read(fresh["access_token"])["wlcg.groups"] == ["/cms", "/cms/new"]
    finally:
        change(own, "bob", groups=frozenset({"cms"}))


# --- errors ---
def test_dead_tokens_stand_whole_in_the_answers(own: IAM) -> None:
    tokens = own.log_in("dave")
    assert own.post("revoke", token=tokens["refresh_token"]).text == ""
    dead = own.refresh(tokens["refresh_token"])
    assert (dead.status, dead.json["error"]) == (401, "invalid_token")
    assert tokens["refresh_token"] in dead.json["error_description"]
    info = own.userinfo(tokens["access_token"])
    assert (info.status, info.json["error"]) == (401, "invalid_token")
    assert tokens["access_token"] in info.text
    assert tokens["access_token"] in info.headers["WWW-Authenticate"]


def test_refresh_token_of_another_client_is_refused(own: IAM) -> None:
    answer = own.acting_as("iam").refresh(own.log_in("dave")["refresh_token"])
    assert (answer.status, answer.json["error"]) == (401, "invalid_client")


def test_verifier_is_optional_unless_a_challenge_was_sent(own: IAM) -> None:
    form = {"grant_type": "authorization_code", "redirect_uri": CALLBACK}
    missing = own.post("token", code=own.code("dave")[0], **form)
    assert (missing.status, missing.json["error"]) == (500, "server_error")
    code, _ = own.code("dave", code_challenge="", code_challenge_method="")
    assert own.post("token", code=code, **form).status == 200
    unknown = own.post("token", code="unknown", **form)
    assert (unknown.status, unknown.json["error"]) == (400, "invalid_grant")


def test_first_tokens_live_when_a_code_comes_twice(own: IAM) -> None:
    code, verifier = own.code("dave")
    form = {
        "grant_type": "authorization_code",
        "redirect_uri": CALLBACK,
        "code": code,
        "code_verifier": verifier,
    }
    tokens = own.post("token", **form).json
    assert own.post("token", **form).json["error"] == "invalid_grant"
    assert own.is_active(tokens["access_token"])


def test_secret_may_be_posted(own: IAM) -> None:
    form = {"grant_type": "refresh_token", "client_id": "af-hub", "client_secret": own.secret}
    token = own.log_in("dave")["refresh_token"]
    answer = own.browser().send(f"{own.issuer}token", form | {"refresh_token": token})
    assert answer.status == 200


def test_only_password_and_refresh_are_refused_when_an_account_is_disabled(own: IAM) -> None:
    tokens = own.log_in("disabled")
    browser, page = open_login(own)
    assert browser.log_in(page, "disabled").status == 303
    change(own, "disabled", active=False)
    assert own.is_active(tokens["access_token"])
    assert own.userinfo(tokens["access_token"]).status == 200
    assert own.exchange(tokens["access_token"], "storage.read:/store/cms").status == 200
    again = browser.send(page.url)  # the live browser session still gets codes and full tokens
    assert again.status == 303
    code = parse_qs(urlsplit(again.location).query)["code"][0]
    form = {"grant_type": "authorization_code", "redirect_uri": CALLBACK, "code": code}
    assert "id_token" in own.post("token", **form).json
    refused = own.refresh(tokens["refresh_token"])
    assert (refused.status, refused.json["error"]) == (401, "unauthorized")
    assert refused.json["error_description"] == "User disabled is not active."
    fresh, page = open_login(own)
    assert fresh.log_in(page, "disabled").status == 401


# --- exchange, introspection, discovery ---
def test_exchange_knows_no_delegation_and_no_id_token(own: IAM) -> None:
    tokens = own.log_in("dave")
    acted = own.exchange(tokens["access_token"], "openid", actor_token="x")
    assert acted.json["error_description"] == "Delegation not supported"
    assert own.exchange(tokens["id_token"], "openid").status == 401
    done = own.exchange(tokens["access_token"], "openid wlcg.groups").json
    assert done["issued_token_type"] == "urn:ietf:params:oauth:token-type:jwt"
    assert "id_token" in done
    assert read(done["access_token"])["aud"] == "https://wlcg.cern.ch/jwt/v1/any"
    assert own.is_active(tokens["access_token"])


def test_exchange_gives_a_refresh_token_to_another_client_only(own: IAM) -> None:
    subject = own.log_in("dave", "openid wlcg.groups")["access_token"]
    scope = "openid offline_access"
    refused = own.exchange(subject, scope)
    assert (refused.status, refused.json["error"]) == (403, "access_denied")
    other = own.acting_as("wlcg")
    given = other.exchange(subject, scope).json
    assert read(given["access_token"])["act"] == {"sub": "wlcg"}
    assert own.refresh(given["refresh_token"]).json["error"] == "invalid_client"
    assert other.refresh(given["refresh_token"]).status == 200


def test_exchange_is_refused_when_the_client_has_not_registered_the_scope(own: IAM) -> None:
    subject = own.log_in("dave")["access_token"]
    answer = own.acting_as("poor").exchange(subject, "storage.read:/store/cms")
    assert (answer.status, answer.json["error"]) == (400, "invalid_scope")
    assert own.acting_as("poor").exchange(subject, "openid").status == 200


def test_introspection_has_the_issuer_with_its_slash(own: IAM) -> None:
    tokens = own.log_in("dave")
    answer = own.post("introspect", token=tokens["access_token"]).json
    assert answer["iss"] == read(tokens["access_token"])["iss"] + "/"
    assert (answer["sub"], answer["user_id"], answer["client_id"]) == ("sub-dave", "dave", "af-hub")
    assert answer["exp"] == read(tokens["access_token"])["exp"]
    assert own.post("introspect", token=tokens["refresh_token"]).json["active"]
    assert own.post("introspect", token="bogus").json == {"active": False}
    hint = {"token_type_hint": "no-such-type"}  # is not looked at
    assert own.post("revoke", token=tokens["access_token"], **hint).status == 200
    assert own.post("introspect", token=tokens["access_token"], **hint).json == {"active": False}
    assert own.post("revoke", token=tokens["access_token"]).text == ""  # again
    assert own.refresh(tokens["refresh_token"]).status == 200  # it outlives its access token


def test_discovery_offers_what_there_is(own: IAM) -> None:
    document = own.browser().send(f"{own.issuer}.well-known/openid-configuration").json
    assert document["issuer"] == own.issuer
    assert "end_session_endpoint" not in document
    assert document["id_token_signing_alg_values_supported"] == ["RS256", "none"]
    assert document["code_challenge_methods_supported"] == ["plain", "S256"]
    missing = own.browser().send(f"{own.issuer}.well-known/oauth-authorization-server")
    assert missing.status == 404


def test_live_browser_session_gets_a_code_whatever_the_prompt(own: IAM) -> None:
    browser, page = open_login(own)
    browser.log_in(page, "dave")
    again = browser.send(f"{page.url}&prompt=login")  # is not looked at
    assert "code" in parse_qs(urlsplit(again.location).query)
    silent = browser.send(f"{page.url}&prompt=none")
    assert parse_qs(urlsplit(silent.location).query)["error"] == ["login_required"]


# --- acceptable use policy ---
def open_login(iam: IAM) -> tuple[Any, Any]:
    browser = iam.browser()
    query = {"response_type": "code", "client_id": "af-hub", "scope": "openid"}
    query["redirect_uri"] = CALLBACK
    return browser, browser.send(f"{iam.config.login_url}authorize?{urlencode(query)}")


def test_policy_has_to_be_signed_before_anything_new_is_given(own: IAM) -> None:
    tokens = own.log_in("unsigned")
    store = own.people()
    store.set_policy("Behave <well>.")
    try:
        for answer in (
            own.refresh(tokens["refresh_token"]),
            own.exchange(tokens["access_token"], "storage.read:/store/cms"),
        ):
            assert (answer.status, answer.json["error"]) == (400, "invalid_grant")
            assert "User unsigned needs to sign AUP" in answer.json["error_description"]
        assert own.is_active(tokens["access_token"])
        browser, page = open_login(own)
        answer = browser.log_in(page, "unsigned")
        assert urlsplit(answer.location).path == "/iam/aup/sign"
        form = browser.send(answer.location)
        assert "Behave &lt;well&gt;." in form.text
        forged = browser.send(form.url, {"form": "x"})
        assert forged.status == 200
        assert own.refresh(tokens["refresh_token"]).status == 400
        done = browser.follow(browser.press(forged, "Sign"), until=CALLBACK)
        assert "code" in parse_qs(urlsplit(done.location).query)
        tokens = own.refresh(tokens["refresh_token"]).json
        store.set_policy("A new one.")  # a signature is for one text
        assert own.refresh(tokens["refresh_token"]).status == 400
    finally:
        store.set_policy(None)
        store.close()
