"""Whatever `next`, logout and callback are given, the browser stays on the hub."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import pytest

if TYPE_CHECKING:
    from testbed.oidc_hub import OidcHub

ELSEWHERE = [
    "https://evil.example/",
    "http://evil.example",
    "//evil.example",
    "///evil.example",
    "////evil.example/%2e%2e",
    "/\\evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "/%09/evil.example",
    "/%5cevil.example",
    "https:evil.example",
    "https:/evil.example",
    "https:///evil.example",
    "http:\\\\evil.example",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "/hub/../..//evil.example",
    "//evil.example:80@127.0.0.1/",
    "//127.0.0.1@evil.example/",
    "//[::1",
    "http://[",
    "http://[evil.example]/",
    "//evil。example",
    "//evil.example%00",
    "/\x00/evil.example",
    "/\x7f",
    "/hub/home\r\nLocation: https://evil.example",
    "/hub/home\r\n\r\n<script>",
    "/é",
    "/" + "a" * 5000,
    "?next=//evil.example",
    "#//evil.example",
    ";//evil.example",
    ".evil.example",
    "@evil.example",
]


@pytest.mark.parametrize("path", ELSEWHERE)
def test_the_browser_stays_on_the_hub_when_next_is_hostile(oidc_hub: OidcHub, path: str) -> None:
    browser = oidc_hub.browser()
    host = urlsplit(oidc_hub.url).netloc
    answer = browser.send(f"{oidc_hub.url}/hub/oauth_login?next={quote(path, safe='')}")
    assert answer.location.startswith(oidc_hub.provider.url)
    callback = browser.send(answer.location).location
    assert callback.startswith(f"{oidc_hub.url}/hub/oauth_callback?")
    answer = browser.send(callback)
    assert answer.status == 302, answer.text
    # as browsers read it: a backslash is a slash, tabs and line ends are nothing
    given = str(answer.headers["Location"])
    assert urlsplit(answer.location.replace("\\", "/")).netloc == host
    assert given.startswith("/")
    assert not given.startswith(("//", "/\\"))
    assert not any(character in given for character in "\r\n\t\x00\\")


def test_the_browser_comes_to_next_when_it_is_on_the_hub(oidc_hub: OidcHub) -> None:
    page = oidc_hub.log_in(query=f"next={quote('/hub/token?x=1', safe='')}")
    assert page.url == f"{oidc_hub.url}/hub/token?x=1"


@pytest.mark.parametrize("path", ELSEWHERE)
def test_the_browser_stays_on_the_hub_when_logout_is_told_to_go_elsewhere(
    oidc_hub: OidcHub, path: str
) -> None:
    given = quote(path, safe="")
    page = oidc_hub.browser().send(
        f"{oidc_hub.url}/hub/logout?next={given}&redirect={given}&post_logout_redirect_uri={given}"
    )
    assert page.status == 200
    assert "You are logged out" in page.text
    assert "evil" not in page.text


def _state(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


STATES = [
    "",
    "x",
    "%00",
    "%ff%fe",
    "e30",
    _state([]),
    _state(7),
    _state(None),
    _state({"state_id": None}),
    _state({"state_id": "planted", "next_url": "//evil.example"}),
    base64.urlsafe_b64encode(b"[" * 20_000).decode(),
    base64.urlsafe_b64encode(b"9" * 5_000).decode(),
    base64.urlsafe_b64encode(b"\xff" * 30).decode(),
]


@pytest.mark.parametrize("state", STATES, ids=range(len(STATES)))
def test_a_callback_is_refused_when_its_state_is_hostile(oidc_hub: OidcHub, state: str) -> None:
    browser = oidc_hub.browser()
    browser.send(f"{oidc_hub.url}/hub/oauth_login")
    page = browser.send(f"{oidc_hub.url}/hub/oauth_callback?code=x&state={state}")
    assert page.status in {400, 403}
    assert oidc_hub.api(browser, "user").status == 403
    assert not oidc_hub.provider.asked("/token")


def test_state_and_nonce_stay_bounded_when_a_browser_begins_many_logins(oidc_hub: OidcHub) -> None:
    browser = oidc_hub.browser()
    longest = quote("/hub/" + "a" * 1400, safe="")
    for _ in range(30):
        browser.send(f"{oidc_hub.url}/hub/oauth_login?next={longest}")
    # nothing is kept in the hub: state and nonce travel in one cookie, which browsers accept
    for _ in range(2):
        sizes = {cookie.name: len(cookie.value or "") for cookie in browser.jar}
        assert sum(name.startswith("oauthenticator-state") for name in sizes) == 1
        assert max(sizes.values()) < 4000
        browser.send(f"{oidc_hub.url}/hub/oauth_login?next=%2Fhub%2F{'a' * 20_000}")
    assert oidc_hub.log_in(browser).url == f"{oidc_hub.url}/hub/home"
