"""The development IAM's browser sessions: what the real one tells of them, and how they end."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest

from af_hub.embedded.iam.records import fingerprint
from af_hub.embedded.iam.store import Store
from testbed.iam import CALLBACK, IAM, LOGIN_SCOPE, Answer, Browser

if TYPE_CHECKING:
    from pathlib import Path


def read(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def authorize(iam: IAM, **more: str) -> str:
    query = {"response_type": "code", "client_id": "af-hub", "scope": LOGIN_SCOPE}
    return f"{iam.config.login_url}authorize?{urlencode(query | {'redirect_uri': CALLBACK} | more)}"


def logged_in(iam: IAM, username: str = "alice") -> Browser:
    browser = iam.browser()
    browser.log_in(browser.send(authorize(iam)), username)
    return browser


def redeem(iam: IAM, answer: Answer) -> dict[str, Any]:
    code = parse_qs(urlsplit(answer.location).query)["code"][0]
    form = {"grant_type": "authorization_code", "redirect_uri": CALLBACK, "code": code}
    tokens: dict[str, Any] = iam.post("token", **form).json
    return tokens


def test_time_of_the_login_is_told_only_when_a_maximum_age_is_asked(iam: IAM) -> None:
    begun = int(time.time())
    browser = logged_in(iam)
    assert "auth_time" not in read(redeem(iam, browser.send(authorize(iam)))["id_token"])
    answer = browser.send(authorize(iam, max_age="0"))  # asks for no new login, as prompt=login
    assert answer.status == 303
    tokens = redeem(iam, answer)
    told = read(tokens["id_token"])["auth_time"]
    assert begun <= told <= time.time()
    for _ in range(2):  # OpenID Connect Core, 12.2: that of the login, at each refresh
        tokens = iam.refresh(tokens["refresh_token"]).json
        assert read(tokens["id_token"])["auth_time"] == told


@pytest.mark.parametrize("max_age", ["soon", "-1", "9" * 400, "\u0663"])
def test_login_goes_on_when_the_maximum_age_is_no_age(iam: IAM, max_age: str) -> None:
    answer = logged_in(iam).send(authorize(iam, max_age=max_age))
    assert "code" in parse_qs(urlsplit(answer.location).query)


def test_browser_is_led_to_the_login_page_when_it_logs_out(iam: IAM) -> None:
    browser = logged_in(iam)
    tokens = redeem(iam, browser.send(authorize(iam)))
    answer = browser.send(f"{iam.config.login_url}logout")
    assert (answer.status, answer.location) == (303, f"{iam.config.login_url}login")
    assert 'name="password"' in browser.send(authorize(iam)).text
    assert iam.is_active(tokens["access_token"])
    again = browser.log_in(browser.send(answer.location), "bob")
    assert "You are logged in as bob" in browser.follow(again).text


def test_end_session_address_ends_nothing(iam: IAM) -> None:
    browser = logged_in(iam)
    tokens = redeem(iam, browser.send(authorize(iam)))
    for form in (None, {"id_token_hint": tokens["id_token"], "approve": "Yes"}):
        answer = browser.send(f"{iam.config.login_url}endsession", form)
        assert answer.status == 200
        assert "<form" not in answer.text
    assert browser.send(authorize(iam)).status == 303
    assert iam.is_active(tokens["access_token"])


def test_login_that_comes_by_the_policys_way_ends_where_it_began(iam: IAM) -> None:
    store = iam.people()
    store.set_policy("Behave.")
    try:
        for path, end in (("login", "/"), ("device?user_code=BBBB-BBBB", "/device")):
            browser = iam.browser()
            sign = browser.follow(
                browser.log_in(browser.send(iam.config.login_url + path), "carol")
            )
            assert "Behave." in sign.text
            assert urlsplit(browser.press(sign, "Sign").location).path == end
            store.set_policy("Behave.")
    finally:
        store.set_policy(None)
        store.close()


def test_database_of_an_older_version_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "iam.sqlite"
    old = sqlite3.connect(path)
    old.execute("CREATE TABLE sessions (hash TEXT PRIMARY KEY, sub TEXT, expires_at REAL)")
    old.execute(
        "CREATE TABLE refresh_tokens (hash TEXT PRIMARY KEY, client_id TEXT NOT NULL, "
        "sub TEXT NOT NULL, scope TEXT NOT NULL, audience TEXT NOT NULL, nonce TEXT, "
        "expires_at REAL NOT NULL)"
    )
    end = time.time() + 1000
    old.execute(
        "INSERT INTO refresh_tokens VALUES (?, 'c', 's', 'openid', '', NULL, ?)",
        (fingerprint("b"), end),
    )
    old.commit()
    old.close()
    for _ in range(2):
        store = Store(path)
        found = store.refresh_token("b")
        assert found is not None
        assert (found.client_id, found.auth_time) == ("c", None)
        assert store.session_began("nobody") is None
        store.close()
