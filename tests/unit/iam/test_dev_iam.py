"""The development IAM behaves as the real one was seen to."""

from __future__ import annotations

import datetime as dt
import stat
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography import x509

from af_hub.embedded.layout import Layout
from af_hub.embedded.pki import RENEW_BEFORE, ensure_pki
from testbed.iam import CALLBACK, IAM, LOGIN_SCOPE, start_iam

if TYPE_CHECKING:
    from pathlib import Path

STORAGE = "storage.read:/store/cms storage.read:/store/atlas storage.read:/store/open"


def read(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def refresh(iam: IAM, token: str, **more: str) -> Any:
    return iam.post("token", grant_type="refresh_token", refresh_token=token, **more)


def test_tokens_carry_two_issuers_when_a_user_logs_in(iam: IAM) -> None:
    answer = iam.log_in("alice")
    access, identity = read(answer["access_token"]), read(answer["id_token"])
    assert access["iss"] + "/" == identity["iss"] == iam.issuer
    assert access["wlcg.groups"] == ["/cms", "/cms/uscms"]
    assert access["wlcg.ver"] == "1.0"
    assert access["nbf"] <= access["iat"]
    assert identity["aud"] == "af-hub"
    assert identity["nonce"] == "n-0S6_WzA2Mj"
    assert jwt.get_unverified_header(answer["refresh_token"])["alg"] == "none"


def test_group_claim_is_absent_when_a_user_is_in_no_group(iam: IAM) -> None:
    answer = iam.log_in("eve")
    assert "wlcg.groups" not in read(answer["access_token"])
    assert "wlcg.groups" not in read(answer["id_token"])


@pytest.mark.parametrize(
    ("user", "granted"),
    [
        ("alice", {"/store/cms", "/store/open"}),
        ("carol", {"/store/atlas", "/store/open"}),
        ("eve", {"/store/open"}),
    ],
)
def test_path_scopes_are_dropped_when_a_policy_refuses(
    iam: IAM, user: str, granted: set[str]
) -> None:
    answer = iam.exchange(iam.log_in(user)["access_token"], STORAGE, audience="https://storage")
    assert {scope.partition(":")[2] for scope in answer.json["scope"].split()} == granted
    claims = read(answer.json["access_token"])
    assert claims["aud"] == "https://storage"
    assert claims["act"] == {"sub": "af-hub"}
    assert "wlcg.groups" not in claims
    assert "refresh_token" not in answer.json


@pytest.mark.parametrize(
    ("scope", "status", "error"),
    [
        ("storage.read:/store/cms/zmumu", 200, None),
        ("storage.read:/store/cmsx", 400, "invalid_scope"),
        ("storage.read:/store/cms/../atlas", 400, "invalid_scope"),
        ("storage.modify:/store/cms", 400, "invalid_scope"),
        ("storage.read:/", 400, "invalid_scope"),
        ("offline_access", 403, "access_denied"),
        ("", 400, "invalid_request"),
    ],
)
def test_exchange_only_narrows(iam: IAM, scope: str, status: int, error: str | None) -> None:
    answer = iam.exchange(iam.log_in("bob")["access_token"], scope)
    assert (answer.status, answer.json.get("error")) == (status, error)


def test_exchanged_token_lives_when_its_subject_is_revoked(iam: IAM) -> None:
    tokens = iam.log_in("bob")
    narrow = iam.exchange(tokens["access_token"], "storage.read:/store/cms").json["access_token"]
    assert iam.post("revoke", token=tokens["refresh_token"]).status == 200
    assert iam.post("introspect", token=narrow).json["active"] is True
    assert iam.post("introspect", token=tokens["access_token"]).json == {"active": False}
    assert iam.exchange(tokens["access_token"], "openid").status == 401
    assert iam.post("revoke", token="bogus").text == ""


def test_refresh_rotates_and_ends_the_old_tokens(iam: IAM) -> None:
    old = iam.log_in("bob")
    answer = refresh(iam, old["refresh_token"], scope="storage.read:/store/cms/a").json
    assert answer["scope"] == "storage.read:/store/cms/a"
    assert read(answer["id_token"])["nonce"] == "n-0S6_WzA2Mj"
    assert iam.post("introspect", token=old["access_token"]).json["active"] is False
    replayed = refresh(iam, old["refresh_token"])
    # not 400 invalid_grant, and the whole token in the text
    assert (replayed.status, replayed.json["error"]) == (401, "invalid_token")
    assert old["refresh_token"] in replayed.json["error_description"]
    again = refresh(iam, answer["refresh_token"])  # no family revocation
    assert set(again.json["scope"].split()) == set(old["scope"].split())


def test_one_refresh_wins_when_many_come_at_once(iam: IAM) -> None:
    token = iam.log_in("bob")["refresh_token"]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: refresh(iam, token).status, range(8)))
    assert sorted(answers) == [200] + [401] * 7


def test_wider_scope_is_refused_when_refreshing(iam: IAM) -> None:
    token = iam.log_in("bob", "openid offline_access storage.read:/store/cms")["refresh_token"]
    answer = refresh(iam, token, scope="storage.read:/store/open")
    assert (answer.status, answer.json["error"]) == (400, "invalid_scope")


def test_code_works_once(iam: IAM) -> None:
    code, verifier = iam.code("bob")
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": verifier,
    }
    wrong = iam.post("token", **(form | {"code_verifier": "x" * 43}))
    assert (wrong.status, wrong.json["error"]) == (400, "invalid_request")
    assert iam.post("token", **form).status == 200
    assert iam.post("token", **form).json["error"] == "invalid_grant"


def test_userinfo_shows_only_the_subject_when_profile_is_missing(iam: IAM) -> None:
    for scope, whole in (("openid email wlcg.groups", False), (LOGIN_SCOPE, True)):
        token = iam.log_in("alice", scope)["access_token"]
        info = iam.browser().send(
            iam.issuer + "userinfo", headers={"Authorization": f"Bearer {token}"}
        )
        assert (set(info.json) == {"sub"}) is not whole
        assert info.json.get("preferred_username") == ("alice" if whole else None)


def test_wrong_secret_and_disabled_account_share_a_code(tmp_path: Path) -> None:
    iam = start_iam(tmp_path)
    try:
        token = iam.log_in("bob")["refresh_token"]
        store = iam.people()
        bob = store.person(username="bob")
        assert bob is not None
        store.save_person(type(bob)(bob.sub, "bob", bob.name, bob.email, bob.groups, active=False))
        store.close()
        disabled = refresh(iam, token)
        assert disabled.json == {
            "error": "unauthorized",
            "error_description": "User bob is not active.",
        }
        iam.secret = "wrong"
        assert refresh(iam, token).json["error_description"] == "Bad credentials"
        assert refresh(iam, token).status == 401
    finally:
        iam.stop()


def test_logins_live_on_and_log_is_clean_when_it_restarts(tmp_path: Path) -> None:
    iam = start_iam(tmp_path, reuse_refresh_token=True)
    try:
        tokens = iam.log_in("alice")
        code, _ = iam.code("alice")
        iam.stop()
        iam.start()
        answer = refresh(iam, tokens["refresh_token"]).json
        assert "refresh_token" not in answer
        assert iam.post("introspect", token=tokens["access_token"]).json["active"] is True
        refresh(iam, "planted-refresh-token")
        secrets = [iam.secret, code, "planted-refresh-token"]
        secrets += [tokens[name] for name in ("access_token", "refresh_token", "id_token")]
        kept = (iam.config.data / "iam.sqlite").read_bytes().decode("latin-1")
        for secret in secrets:
            assert secret not in iam.log
            assert secret not in kept
        for path in [*iam.layout.pki.iterdir(), *iam.config.data.glob("*.pem")]:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        iam.stop()


def test_browser_gets_a_page_when_the_redirect_uri_is_foreign(iam: IAM) -> None:
    base = f"{iam.config.login_url}authorize?response_type=code&client_id=af-hub&scope=openid"
    page = iam.browser().send(f"{base}&redirect_uri=https://evil.example/")
    assert (page.status, page.headers["Location"]) == (400, None)
    refused = iam.browser().send(f"{base}%20admin&redirect_uri={CALLBACK}&state=s")
    assert "error=invalid_scope" in refused.location
    silent = iam.browser().send(f"{base}&redirect_uri={CALLBACK}&prompt=none&state=s")
    assert "error=login_required" in silent.location


def test_login_is_refused_when_password_or_form_is_wrong(iam: IAM) -> None:
    browser = iam.browser()
    page = browser.send(
        f"{iam.config.login_url}authorize?response_type=code&client_id=af-hub"
        f"&scope=openid&redirect_uri={CALLBACK}"
    )
    assert browser.log_in(page, "alice", "wrong").status == 401
    forged = iam.browser().send(page.url, {"form": "x", "username": "alice", "password": "demo"})
    assert forged.status == 400


def test_certificates_are_renewed_when_they_end_soon(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.create()
    ensure_pki(layout)
    first, authority = layout.server_certificate.read_bytes(), layout.ca_certificate.read_bytes()
    ensure_pki(layout)
    assert layout.server_certificate.read_bytes() == first
    end = x509.load_pem_x509_certificate(first).not_valid_after_utc
    ensure_pki(layout, now=end - RENEW_BEFORE + dt.timedelta(days=1))
    assert layout.server_certificate.read_bytes() != first
    assert layout.ca_certificate.read_bytes() == authority
    layout.server_key.write_bytes(layout.ca_key.read_bytes())  # a crash between two writes
    ensure_pki(layout)
    ensure_pki(layout)
