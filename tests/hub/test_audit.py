"""What a real hub tells of logins, refusals and tokens: events, metrics, health."""

from __future__ import annotations

import json
import re
import sqlite3
import time
import urllib.request
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from af_hub import metrics
from testbed.iam import Browser
from testbed.iam_hub import STORAGE_SCOPE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed.iam_hub import Hub

    Events = Callable[[str], list[dict[str, Any]]]

PREFIX = "urn:analysis-facility:events:"
PLANTED = "planted0123456789abcdef.planted0123456789abcdef.planted0123456789abcdef"
JWT = re.compile(r"eyJ[A-Za-z0-9_-]{8,}")


@pytest.fixture
def events(iam_hub: Hub) -> Events:
    """Give a function that reads the events of one kind since the test began."""
    path = iam_hub.root / "events.jsonl"
    begun = path.stat().st_size

    def since(kind: str) -> list[dict[str, Any]]:
        lines = path.read_bytes()[begun:].decode().splitlines()
        found = [json.loads(line) for line in lines]
        return [
            {key: value for key, value in one.items() if key != "taskName" and key[0] != "_"}
            for one in found
            if one["__schema__"] == PREFIX + kind
        ]

    return since


@pytest.fixture(scope="module")
def server(iam_hub: Hub) -> Iterator[str]:
    """Give the API token of alice's running server."""
    browser, _ = iam_hub.log_in("alice")
    yield iam_hub.start_server(browser, "alice")
    iam_hub.stop_server(browser, "alice")


@pytest.fixture
def without_groups(iam_hub: Hub) -> Iterator[Browser]:
    """Give carol's browser; she has lost her groups since she logged in."""
    browser, _ = iam_hub.log_in("carol")
    store = iam_hub.iam.people()
    carol = store.person(username="carol")
    assert carol is not None
    store.save_person(replace(carol, groups=frozenset()))
    yield browser
    store.save_person(carol)
    store.close()


def shown(hub: Hub) -> dict[str, float]:
    """Return all metrics by their name with labels."""
    browser, _ = hub.log_in("dora")  # an administrator
    text = browser.send(f"{hub.url}/hub/metrics").text
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def test_login_and_logout_are_audited(iam_hub: Hub, events: Events) -> None:
    browser, _ = iam_hub.log_in("bob")
    (login,) = events("login")
    store = iam_hub.iam.people()
    bob = store.person(username="bob")
    store.close()
    assert bob is not None
    assert login == {
        "username": "bob",
        "issuer": iam_hub.iam.issuer,
        "subject": bob.sub,
        "admin": False,
        "groups": 1,
        "address": "127.0.0.1",
    }
    browser.send(f"{iam_hub.url}/hub/logout")
    assert events("logout") == [{"username": "bob", "revoked": True}]


def test_refused_login_is_audited_when_the_user_is_in_no_group(
    iam_hub: Hub, events: Events
) -> None:
    iam_hub.log_in("eve")
    assert events("refusal") == [
        {
            "what": "login",
            "reason": "group-not-allowed",
            "username": "eve",
            "by": "browser",
            "audience": None,
            "address": "127.0.0.1",
        }
    ]
    assert not events("login")


def test_refused_login_is_audited_when_it_was_not_started_here(
    iam_hub: Hub, events: Events
) -> None:
    iam_hub.iam.browser().send(f"{iam_hub.url}/hub/oauth_callback?code={PLANTED}&state=x")
    (refusal,) = events("refusal")
    assert (refusal["what"], refusal["reason"]) == ("login", "login-state")
    assert refusal["username"] is None


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        # another user's server
        (
            ("alice", "users/bob/token?audience=storage"),
            "not-a-service bob user:alice storage",
        ),
        (("alice", "token?audience=rucio"), "audience-unknown alice user:alice rucio"),
        (
            ("dask-gateway", "users/alice/token?audience=other"),
            "audience-refused alice service:dask-gateway other",
        ),
        (
            ("other", "users/alice/token?audience=storage"),
            "audience-refused alice service:other storage",
        ),
        (
            ("dask-gateway", "users/nobody/token?audience=storage"),
            "scope-missing nobody service:dask-gateway storage",
        ),
        (("", "token?audience=storage"), "token-missing None nobody storage"),
    ],
)
def test_refused_token_is_audited_with_who_asked_for_what(
    iam_hub: Hub, server: str, events: Events, asked: tuple[str, str], expected: str
) -> None:
    iam_hub.log_in("bob")
    who, path = asked
    token = {**iam_hub.services, "alice": server, "": "0" * 32}[who]
    assert iam_hub.ask(path, token).status in {401, 403, 404}
    (refusal,) = events("refusal")
    assert refusal["what"] == "token"
    assert refusal["address"] == "127.0.0.1"
    told = " ".join(str(refusal[key]) for key in ("reason", "username", "by", "audience"))
    assert told == expected
    assert not events("token-issued")


def test_visitor_is_refused_and_audited_when_the_server_is_shared(
    iam_hub: Hub, server: str, events: Events
) -> None:
    dora, _ = iam_hub.log_in("dora")  # an administrator
    bob, _ = iam_hub.log_in("bob")
    admin = iam_hub.api(dora, "users/dora/tokens", "POST").json["token"]
    share = urllib.request.Request(
        f"{iam_hub.url}/hub/api/shares/alice/",
        json.dumps({"user": "bob"}).encode(),
        {"Authorization": f"token {admin}"},
    )
    with urllib.request.urlopen(share) as answer:
        assert answer.status == 200
    own = iam_hub.start_server(bob, "bob")  # which must not help, either
    try:
        token = visit(iam_hub, bob, server)
        me = (
            Browser()
            .send(f"{iam_hub.url}/hub/api/user", headers={"Authorization": f"token {token}"})
            .json
        )
        assert me["name"] == "bob"
        assert {"access:servers!server=alice/", "custom:af:token!user=bob"} <= set(me["scopes"])
        for path in ("token?audience=storage", "users/alice/token?audience=storage"):
            assert iam_hub.ask(path, token).status == 403
        told = [(one["reason"], one["username"], one["by"]) for one in events("refusal")]
        assert told == [("not-a-server", "bob", "user:bob"), ("not-a-service", "alice", "user:bob")]
        assert not events("token-issued")
        assert iam_hub.ask("token?audience=storage", own).status == 200
    finally:
        iam_hub.stop_server(bob, "bob")
        iam_hub.api(dora, "shares/alice/", "DELETE")


def visit(hub: Hub, visitor: Browser, secret: str) -> str:
    """Let a visitor into alice's server by OAuth; returns the token that the server then has."""
    client = {
        "client_id": "jupyterhub-user-alice",
        "redirect_uri": "/user/alice/oauth_callback",
    }
    query = urlencode(client | {"response_type": "code", "state": "x"})
    url = f"{hub.url}/hub/api/oauth2/authorize?{query}"
    page = visitor.send(url)  # asks whether the server may know who it is
    scopes = re.findall(r'name="scopes" value="([^"]+)"', page.text)
    xsrf = next(str(cookie.value) for cookie in visitor.jar if cookie.name == "_xsrf")
    form = urlencode([("_xsrf", xsrf), *(("scopes", scope) for scope in scopes)])
    answer = visitor.send(f"{url}&{form}", {"_xsrf": xsrf}, headers={"Referer": url})
    (code,) = parse_qs(urlsplit(answer.location).query)["code"]
    given = Browser().send(
        f"{hub.url}/hub/api/oauth2/token",
        client | {"grant_type": "authorization_code", "code": code, "client_secret": secret},
    )
    return str(given.json["access_token"])


def test_given_token_is_audited_with_audience_and_who_got_it(
    iam_hub: Hub, server: str, events: Events
) -> None:
    given = iam_hub.ask("token?audience=storage", server).json
    iam_hub.ask("users/alice/token?audience=storage", iam_hub.services["dask-gateway"])
    issued = events("token-issued")
    assert [one["to"] for one in issued] == ["server", "service:dask-gateway"]
    for one in issued:
        assert (one["username"], one["audience"]) == ("alice", "storage")
        assert one["expires_at"] == given["expires_at"]
        assert set(one["scope"].split()) <= set(STORAGE_SCOPE.split())


def test_lost_group_and_refused_start_are_audited(
    iam_hub: Hub, without_groups: Browser, events: Events
) -> None:
    assert iam_hub.api(without_groups, "users/carol/server", "POST").status == 403
    assert events("group-change") == [
        {"username": "carol", "added": [], "removed": ["/atlas"], "total": 0}
    ]
    (refusal,) = events("refusal")
    assert (refusal["what"], refusal["reason"]) == ("start", "group-not-allowed")
    assert (refusal["username"], refusal["by"]) == ("carol", "user:carol")


def test_other_groups_are_audited_when_the_user_logs_in_again(iam_hub: Hub, events: Events) -> None:
    iam_hub.log_in("carol")
    before = len(events("group-change"))  # another test may have left her without groups
    store = iam_hub.iam.people()
    carol = store.person(username="carol")
    assert carol is not None
    store.save_person(replace(carol, groups=carol.groups | {"cms"}))
    try:
        iam_hub.log_in("carol")
        assert events("group-change")[before:] == [
            {"username": "carol", "added": ["/cms"], "removed": [], "total": 2}
        ]
    finally:
        store.save_person(carol)
        store.close()
    iam_hub.log_in("carol")  # the next test finds her as before


def test_failed_refresh_is_audited_when_the_account_is_disabled(
    iam_hub: Hub, events: Events
) -> None:
    browser, _ = iam_hub.log_in("carol")
    store = iam_hub.iam.people()
    carol = store.person(username="carol")
    assert carol is not None
    store.save_person(replace(carol, active=False))
    try:
        iam_hub.api(browser, "users/carol/server", "POST")
    finally:
        store.save_person(carol)
        store.close()
    assert {"username": "carol", "reason": "account-disabled", "ended": True} in events(
        "refresh-failure"
    )


def test_failed_refresh_is_audited_as_an_outage_when_nobody_answers(
    iam_hub: Hub, events: Events
) -> None:
    # not carol: after a failure the hub waits before it asks about the same user again
    browser, _ = iam_hub.log_in("dora")
    iam_hub.iam.stop()
    try:
        iam_hub.start_server(browser, "dora")
    finally:
        iam_hub.iam.start()
    iam_hub.stop_server(browser, "dora")
    assert events("refresh-failure")[0] == {
        "username": "dora",
        "reason": "iam-unreachable",
        "ended": False,
    }


def test_nothing_token_like_is_in_events_or_metrics_when_somebody_sends_one(
    iam_hub: Hub, server: str, events: Events
) -> None:
    given = iam_hub.ask("token?audience=storage", server).json["access_token"]
    for path in (f"token?audience={PLANTED}", f"users/{PLANTED}/token?audience={PLANTED}"):
        iam_hub.ask(path, server)
        iam_hub.ask(path, iam_hub.services["other"])
    assert {one["audience"] for one in events("refusal")} == {"[removed]"}
    written = (iam_hub.root / "events.jsonl").read_text()
    metered = " ".join(shown(iam_hub))
    for place in (written, metered):
        assert "planted" not in place
        assert not JWT.search(place)
        assert given not in place
        assert iam_hub.iam.secret not in place
        assert server not in place


def test_metrics_count_what_happened(iam_hub: Hub, server: str) -> None:
    before = shown(iam_hub)
    iam_hub.ask("token?audience=storage", server)
    iam_hub.ask("token?audience=rucio", server)
    iam_hub.log_in("eve")
    browser, _ = iam_hub.log_in("bob")
    iam_hub.start_server(browser, "bob")  # asks the identity provider again
    iam_hub.stop_server(browser, "bob")
    after = shown(iam_hub)

    def more(name: str) -> float:
        return after[name] - before.get(name, 0.0)

    assert more('af_tokens_issued_total{audience="storage",to="server"}') == 1
    assert more('af_refusals_total{reason="audience-unknown",what="token"}') == 1
    assert more('af_refusals_total{reason="group-not-allowed",what="login"}') == 1
    assert more('af_refreshes_total{outcome="ok"}') >= 1
    calls = "af_iam_call_duration_seconds_count"
    assert more(f'{calls}{{outcome="2xx",purpose="code"}}') == 3  # eve, bob, dora
    assert more(f'{calls}{{outcome="2xx",purpose="refresh"}}') >= 1
    assert 0 <= after["af_iam_keys_age_seconds"] < 3600
    names = {name.partition("{")[0].removesuffix("_count") for name in after}
    assert {row.name for row in metrics.TABLE} <= names


def health(hub: Hub) -> tuple[int, Any]:
    answer = Browser().send(f"{hub.url}/hub/api/af/health")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "application/json" in answer.headers["Content-Type"]
    return answer.status, answer.json


def wait_for_health(hub: Hub, status: int) -> Any:
    deadline = time.monotonic() + 30
    while (found := health(hub))[0] != status:
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    return found[1]


def test_health_is_good_when_all_works(iam_hub: Hub) -> None:
    assert wait_for_health(iam_hub, 200) == {"healthy": True, "codes": []}


def test_health_fails_and_recovers_when_the_database_cannot_be_written(iam_hub: Hub) -> None:
    wait_for_health(iam_hub, 200)
    other = sqlite3.connect(iam_hub.root / "hub.sqlite")
    other.execute("BEGIN IMMEDIATE")
    try:
        codes = wait_for_health(iam_hub, 503)["codes"]
        assert codes[0] in {"database-slow", "database-not-writable"}
    finally:
        other.rollback()
        other.close()
    wait_for_health(iam_hub, 200)


def test_health_is_checked_once_when_many_ask(iam_hub: Hub) -> None:
    wait_for_health(iam_hub, 200)
    database = sqlite3.connect(iam_hub.root / "hub.sqlite")
    written = set()
    begun = time.monotonic()
    for _ in range(50):
        health(iam_hub)
        written.add(database.execute("SELECT written_at FROM af_health").fetchone())
    seconds = time.monotonic() - begun
    database.close()
    assert len(written) <= 2 + seconds / 5
