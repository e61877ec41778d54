"""Refresh, outage and lost rights in a real hub with a real identity provider, hours in seconds."""

from __future__ import annotations

import asyncio
import math
import os
import random
import re
import time
import urllib.error
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

from af_hub.embedded.iam.switches import Fault
from af_hub.iam.pace import spread
from testbed.clock_hub import get_all, headers_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.clock_hub import ClockHub
    from testbed.iam import Browser

SOAK = bool(os.environ.get("AF_SOAK"))
"""Whether this is the long form (``make soak``)."""

HOURS = 8 if SOAK or int(version("jupyterhub").partition(".")[0]) >= 6 else 2
"""Of the long session; the older JupyterHub gets a short one, for time."""

SEEDS = range(20) if SOAK else (5,)
"""Of the long session's failures."""

LIFETIME = 600
"""Seconds of access tokens."""

INTERVAL = 600 * 1.1
"""Seconds after which everybody's groups have been asked for again."""

BOTH = (False, True)


@pytest.fixture
def hub(clock_hub: ClockHub) -> Iterator[ClockHub]:
    """Give the hub with fresh counts, and take all switches back."""
    clock_hub.iam.forget_calls()
    yield clock_hub
    clock_hub.later(0)


@pytest.fixture(scope="module")
def alice(clock_hub: ClockHub) -> Browser:
    """Alice, logged in once for all tests: none of them may ask her to log in again."""
    return clock_hub.log_in("alice")[0]


@pytest.fixture(scope="module")
def server(clock_hub: ClockHub, alice: Browser) -> Iterator[str]:
    """Token of alice's running server."""
    yield clock_hub.start_server(alice, "alice")
    clock_hub.stop_server(alice, "alice")


def page(hub: ClockHub, browser: Browser) -> int:
    return browser.send(f"{hub.url}/hub/home").status


@pytest.mark.parametrize("reuse", BOTH, ids=["rotating", "reusing"])
@pytest.mark.parametrize("clear", BOTH, ids=["keeping", "clearing"])
async def test_one_refresh_and_no_login_when_200_requests_come_at_expiry(
    hub: ClockHub, alice: Browser, reuse: bool, clear: bool
) -> None:
    hub.set_client(reuse_refresh_token=reuse, clear_access_tokens_on_refresh=clear)
    for family in BOTH:
        for _ in range(3):
            if await calls_at_expiry(hub, alice, family):
                break
            # a machine so slow that the hub's connection timed out: nobody noticed, nothing was lost
        assert len(hub.iam.calls()) == 1, f"family revoked on reuse: {family}"


async def calls_at_expiry(hub: ClockHub, browser: Browser, family: bool) -> int:
    """Send 200 requests when the token ends; returns the refreshes, after which all went well."""
    hub.later(INTERVAL)
    assert page(hub, browser) == 200  # a token of this client
    hub.later(LIFETIME - 200, revoke_family_on_reuse=family)
    hub.iam.forget_calls()
    pages, calls = await asyncio.gather(
        get_all(f"{hub.url}/hub/home", [headers_of(browser)] * 20),
        get_all(f"{hub.url}/hub/api/user", [headers_of(browser)] * 180),
    )
    assert {*pages, *calls} == {(200, "")}, f"family revoked on reuse: {family}"
    assert hub.refreshes() <= 1
    return hub.refreshes()


@pytest.mark.parametrize("reuse", BOTH, ids=["rotating", "reusing"])
def test_next_request_recovers_or_asks_for_one_login_when_the_hub_was_killed_before_it_stored(
    hub: ClockHub, reuse: bool
) -> None:
    hub.set_client(reuse_refresh_token=reuse)
    browser, _ = hub.log_in("bob")
    hub.later(LIFETIME)
    hub.iam.forget_calls()
    (hub.root / "die").touch()
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        page(hub, browser)
    hub.process.wait(10)
    hub.start()
    assert hub.refreshes() == 1
    first = page(hub, browser)
    assert first == (200 if reuse else 302)
    for _ in range(3):
        assert page(hub, browser) == first
    assert hub.refreshes() == 2  # and not one for each request
    # at most one round by the identity provider, which still knows the browser: no form
    assert (
        browser.follow(browser.send(f"{hub.url}/hub/oauth_login?next=%2Fhub%2Fhome")).url
        == f"{hub.url}/hub/home"
    )
    assert page(hub, browser) == 200
    assert hub.refreshes() == 2


@pytest.mark.parametrize("seed", SEEDS)
def test_a_server_always_has_a_minute_left_when_a_long_session_meets_failures(
    hub: ClockHub, alice: Browser, server: str, seed: int
) -> None:
    luck = random.Random(seed)  # noqa: S311  not for secrets
    steps, held, restarted = HOURS * 30, 0.0, False
    for step in range(steps):
        # one in twenty calls of this step fails; a clock that moves begins the counts anew
        faults = [Fault(at="any", skip=n, times=1) for n in range(6) if luck.random() < 0.05]
        hub.later(120, *faults)
        answer = hub.ask("token?audience=storage", server)
        if restarted and answer.status == 503:
            # the hub has no token in store; the server still has its own, and asks again
            assert held > 60 + hub_time(hub)
            hub.later(10)
            answer = hub.ask("token?audience=storage", server)
        assert answer.status == 200, answer.text
        assert answer.json["expires_in"] >= 60
        held, restarted = answer.json["expires_at"], False
        assert held > 60 + hub_time(hub)
        if step % 8 == 0:
            assert page(hub, alice) == 200
            assert hub.user(server) == 200
        if step in {steps // 3, 2 * steps // 3}:
            hub.crash()
            restarted = True
    struck = sum(call.status == 503 for call in hub.iam.calls())
    assert struck >= HOURS // 2
    # due 300 seconds before the token's end, and looked at each 120
    assert steps / 3 - struck <= hub.refreshes() <= steps / 2.5 + struck


def hub_time(hub: ClockHub) -> float:
    return time.time() + hub.ahead


@pytest.mark.parametrize(
    ("lifetime", "hourly"),
    [
        # looked at each minute; the interval is spread by the user's name
        (3600, 60 // math.ceil(600 * spread("alice") / 60)),
        # each refresh is a group check, too, so that there are no others
        (600, 60 // ((600 - 300) // 60)),
    ],
    ids=["group-checks", "expiry"],
)
def test_nothing_else_is_asked_when_a_user_works_for_an_hour(
    hub: ClockHub, alice: Browser, server: str, lifetime: int, hourly: int
) -> None:
    hub.set_client(access_token_seconds=lifetime)
    try:
        hub.later(max(LIFETIME, INTERVAL))
        assert page(hub, alice) == 200  # from here on tokens of that lifetime
        hub.iam.forget_calls()
        for _ in range(60):
            hub.later(60)
            assert page(hub, alice) == 200
            assert hub.user(server) == 200
        assert [call.grant for call in hub.iam.calls()] == ["refresh_token"] * hourly
        dora, _ = hub.log_in("dora")
        hub.iam.forget_calls()
        for starts in (1, 2):
            assert hub.start_server(dora, "dora")
            assert [call.grant for call in hub.iam.calls()] == ["refresh_token"] * starts
            hub.stop_server(dora, "dora")
    finally:
        hub.set_client(access_token_seconds=LIFETIME)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"groups": frozenset()}, "group-not-allowed"),
        ({"active": False}, "account-disabled"),
    ],
    ids=["group-lost", "account-disabled"],
)
def test_pages_and_servers_are_refused_within_the_interval_when_rights_are_lost(
    hub: ClockHub, changes: dict[str, object], code: str
) -> None:
    browser, _ = hub.log_in("carol")
    token = hub.start_server(browser, "carol")
    assert (page(hub, browser), hub.user(token)) == (200, 200)
    hub.change("carol", **changes)
    try:
        hub.later(INTERVAL)
        answer = hub.ask("token?audience=storage", token)
        assert (answer.status, answer.json["code"]) == (401 if "disabled" in code else 403, code)
        assert hub.user(token) == 403
        assert page(hub, browser) == 302
    finally:
        hub.change("carol", groups=frozenset({"atlas"}), active=True)
    browser, _ = hub.log_in("carol")
    assert (page(hub, browser), hub.user(token)) == (200, 200)
    hub.stop_server(browser, "carol")


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"groups": frozenset()}, "group-not-allowed", "no group any more"),
        ({"active": False}, "account-disabled", "User carol is not active"),
    ],
    ids=["group-lost", "account-disabled"],
)
def test_the_next_start_is_refused_at_once_when_rights_are_lost(
    hub: ClockHub, changes: dict[str, object], code: str, words: str
) -> None:
    browser, _ = hub.log_in("carol")
    hub.later(INTERVAL, Fault(at="token"))
    assert page(hub, browser) == 200  # its refresh has failed: the login is kept for now
    hub.later(0)
    hub.change("carol", **changes)
    try:
        refused = hub.api(browser, "users/carol/server", "POST")
        assert 400 <= refused.status < 500
        assert words in refused.text  # for an account, the identity provider's own words
        assert hub.api(browser, "users/carol").json["servers"] == {}
    finally:
        hub.change("carol", groups=frozenset({"atlas"}), active=True)
    browser, _ = hub.log_in("carol")
    assert hub.start_server(browser, "carol")
    hub.stop_server(browser, "carol")


def test_nobody_is_logged_out_when_the_hubs_secret_becomes_wrong(
    hub: ClockHub, alice: Browser, server: str
) -> None:
    dora, _ = hub.log_in("dora")
    assert hub.ask("token?audience=storage", server).status == 200
    secret = hub.root / "client-secret"
    good = secret.read_text()
    secret.write_text("planted-wrong-secret")
    try:
        for _ in range(3):
            hub.later(INTERVAL)
            assert (page(hub, alice), page(hub, dora), hub.user(server)) == (200, 200, 200)
            refused = hub.ask("token?audience=other", server)
            assert (refused.status, refused.json["code"]) == (503, "iam-refused-hub")
        hub.later(2 * 3600)  # beyond what the hub believes unconfirmed logins
        assert (page(hub, alice), page(hub, dora)) == (302, 302)
    finally:
        secret.write_text(good)
    hub.later(10)  # all logins are still there
    assert hub.ask("token?audience=other", server).status == 200
    assert (page(hub, alice), page(hub, dora)) == (200, 200)
    assert "planted-wrong-secret" not in hub.log


def test_the_users_next_step_is_told_when_a_policy_must_be_signed(hub: ClockHub) -> None:
    browser, _ = hub.log_in("bob")
    store = hub.iam.people()
    store.set_policy("Be kind to the storage.")
    try:
        answer = hub.api(browser, "users/bob/server", "POST")
        assert answer.status == 401
        assert "acceptable use policy" in answer.text
        assert "User bob needs to sign AUP" in answer.text  # the identity provider's own words
    finally:
        store.set_policy(None)
        store.close()
    hub.later(INTERVAL)
    assert page(hub, browser) == 200  # by the same login


def test_everybody_keeps_working_when_the_identity_provider_is_away_for_an_hour(
    hub: ClockHub, alice: Browser, server: str
) -> None:
    assert hub.ask("token?audience=storage", server).status == 200
    dora, _ = hub.log_in("dora")
    hub.iam.stop()
    try:
        for _ in range(3):
            hub.later(1200)
            assert (page(hub, alice), hub.user(server)) == (200, 200)
        hub.crash()
        assert (page(hub, alice), hub.user(server)) == (200, 200)
        told = alice.send(f"{hub.url}/hub/oauth_login")
        assert told.status == 503
        assert re.search(r"your servers keep working\s+until \d\d:\d\d UTC", told.text)
        assert "<code>iam-unreachable</code>" in told.text
        assert "keep working" not in hub.iam.browser().send(f"{hub.url}/hub/oauth_login").text
        refused = hub.api(dora, "users/dora/server", "POST")
        assert refused.status == 503
        assert re.search(r"your servers keep working\s+until \d\d:\d\d UTC", refused.text)
    finally:
        hub.iam.start()
    hub.iam.forget_calls()
    hub.later(70)
    assert page(hub, alice) == 200
    assert hub.refreshes() == 1
    assert hub.ask("token?audience=storage", server).status == 200
