"""Login, refusal, refresh and logout through a real hub and a real identity provider."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from af_hub.embedded.iam.people import Person
from testbed.facility import wait_for

if TYPE_CHECKING:
    from testbed.iam import Answer, Browser
    from testbed.iam_hub import Hub

JWT = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.")


def change(hub: Hub, who: str, **changes: object) -> None:
    """Change an account while the identity provider runs."""
    store = hub.iam.people()
    person = store.person(username=who)
    assert person is not None
    fields: Any = changes
    store.save_person(replace(person, **fields))
    store.close()


def begin(hub: Hub) -> tuple[Browser, Answer]:
    """Go to the identity provider; returns its redirect, not yet followed."""
    browser = hub.iam.browser()
    return browser, browser.send(f"{hub.url}/hub/oauth_login")


def test_groups_and_admin_rights_are_the_identity_providers_when_users_log_in(iam_hub: Hub) -> None:
    _, page = iam_hub.log_in("alice")
    assert page.url == f"{iam_hub.url}/hub/home"
    dora, _ = iam_hub.log_in("dora")
    alice = iam_hub.api(dora, "users/alice").json  # only an admin may look
    assert sorted(alice["groups"]) == ["/cms", "/cms/uscms"]
    assert alice["admin"] is False
    assert iam_hub.api(dora, "users/dora").json["admin"] is True


def test_extra_routes_answer_when_the_authenticator_has_some(iam_hub: Hub) -> None:
    answer = iam_hub.iam.browser().send(f"{iam_hub.url}/hub/api/af/extra")
    assert (answer.status, answer.text) == (200, "extra route")
    assert "extra_handlers" not in iam_hub.log


def test_a_page_says_what_to_do_when_the_user_is_in_no_group(iam_hub: Hub) -> None:
    browser, page = iam_hub.log_in("eve")
    assert page.status == 403
    assert "in no group that may use this" in page.text
    assert "<code>group-not-allowed</code>" in page.text
    assert "Try again" in page.text
    assert 'class="af-panel"' in page.text
    assert "text/html" in page.headers["Content-Type"]
    assert iam_hub.api(browser, "user").status == 403


def test_login_is_refused_when_the_nonce_is_another_ones(iam_hub: Hub) -> None:
    browser, redirect = begin(iam_hub)
    changed = re.sub(r"nonce=[^&]+", "nonce=planted", redirect.location)
    page = browser.follow(browser.log_in(browser.send(changed), "bob"))
    assert page.status == 403
    assert "token-nonce" in page.text


def test_login_is_refused_when_it_was_started_in_another_browser(iam_hub: Hub) -> None:
    browser, redirect = begin(iam_hub)
    callback = f"{iam_hub.url}/hub/oauth_callback"
    answer = browser.follow(browser.log_in(browser.send(redirect.location), "bob"), until=callback)
    other = iam_hub.iam.browser()
    for url in (answer.location, f"{callback}?code=x&state=%ff", f"{callback}?code=x&state=W10="):
        page = other.send(url)
        assert page.status == 403
        assert "login-state" in page.text


def test_login_is_refused_when_the_code_is_not_the_identity_providers(iam_hub: Hub) -> None:
    browser, redirect = begin(iam_hub)
    state = re.search(r"state=([^&]+)", redirect.location)
    assert state
    page = browser.send(f"{iam_hub.url}/hub/oauth_callback?code=planted-code&state={state[1]}")
    assert page.status == 401
    assert "login-over" in page.text
    assert "planted-code" not in page.text + iam_hub.log


def test_foreign_words_are_scrubbed_and_escaped_when_the_provider_refuses(iam_hub: Hub) -> None:
    token = "planted" + "0123456789abcdef" * 4
    page = iam_hub.iam.browser().send(
        f"{iam_hub.url}/hub/oauth_callback?error=access_denied"
        f"&error_description=%3Cscript%3Ealert(1)%3C/script%3E%20{token}"
    )
    assert page.status == 403
    assert "&lt;script&gt;alert(1)" in page.text
    assert "<script>alert" not in page.text
    assert token not in page.text + iam_hub.log


def test_a_page_says_so_when_the_identity_provider_is_away(iam_hub: Hub) -> None:
    browser, _ = iam_hub.log_in("dora")
    fresh, redirect = begin(iam_hub)
    state = re.search(r"state=([^&]+)", redirect.location)
    assert state
    iam_hub.iam.stop()
    try:
        page = fresh.send(f"{iam_hub.url}/hub/oauth_callback?code=x&state={state[1]}")
        assert page.status == 503
        assert "iam-unreachable" in page.text
        # and who is logged in stays so
        assert browser.send(f"{iam_hub.url}/hub/home").status == 200
    finally:
        iam_hub.iam.start()


def test_a_server_starts_when_the_identity_provider_is_away_and_the_token_lives(
    iam_hub: Hub,
) -> None:
    browser, _ = iam_hub.log_in("dora")
    iam_hub.iam.stop()
    try:
        assert iam_hub.start_server(browser, "dora")
        assert "dora starts a server without iam-unreachable" in iam_hub.log
    finally:
        iam_hub.iam.start()
    iam_hub.stop_server(browser, "dora")


def test_a_user_name_belongs_to_the_first_person_when_it_comes_back(iam_hub: Hub) -> None:
    frank = Person("first", "frank", "Frank", "frank@example.org", frozenset({"cms"}))
    store = iam_hub.iam.people()
    store.save_person(frank)
    browser, page = iam_hub.log_in("frank")
    assert page.status == 200
    browser.send(f"{iam_hub.url}/hub/logout")
    store.save_person(replace(frank, sub="second"))
    store.close()
    _, page = iam_hub.log_in("frank")
    assert page.status == 403
    assert "name-taken" in page.text


def test_the_next_start_is_refused_when_a_group_is_lost(iam_hub: Hub) -> None:
    browser, _ = iam_hub.log_in("carol")
    change(iam_hub, "carol", groups=frozenset())
    try:
        answer = iam_hub.api(browser, "users/carol/server", "POST")
        assert answer.status == 403
        assert "in no group any more" in answer.text
        refused = iam_hub.ask(
            "users/carol/token?audience=storage", iam_hub.services["dask-gateway"]
        )
        assert (refused.status, refused.json["code"]) == (403, "group-not-allowed")
        assert refused.headers["Cache-Control"] == "no-store"
    finally:
        change(iam_hub, "carol", groups=frozenset({"atlas"}))


def test_the_next_start_is_refused_when_the_account_is_disabled(iam_hub: Hub) -> None:
    browser, _ = iam_hub.log_in("carol")
    change(iam_hub, "carol", active=False)
    try:
        answer = iam_hub.api(browser, "users/carol/server", "POST")
        assert answer.status == 401
        assert "is not active" in answer.text
    finally:
        change(iam_hub, "carol", active=True)


def test_the_hub_lives_on_when_five_starts_in_a_row_are_refused(iam_hub: Hub) -> None:
    browser, _ = iam_hub.log_in("carol")
    change(iam_hub, "carol", active=False)
    begun = len(iam_hub.log)
    try:
        for _ in range(5):
            assert iam_hub.api(browser, "users/carol/server", "POST").status == 401
    finally:
        change(iam_hub, "carol", active=True)
    # what JupyterHub says from the second counted failure on; at the fifth it ends two seconds later
    log = iam_hub.log[begun:]
    assert "consecutive spawn" not in log
    assert "Traceback" not in log
    assert iam_hub.process.poll() is None


def test_tokens_are_revoked_and_forgotten_when_a_user_logs_out(iam_hub: Hub) -> None:
    browser, _ = iam_hub.log_in("bob")
    path, service = "users/bob/token?audience=storage", iam_hub.services["dask-gateway"]
    token = iam_hub.ask(path, service).json["access_token"]
    assert iam_hub.iam.post("introspect", token=token).json["active"] is True
    page = browser.send(f"{iam_hub.url}/hub/logout")
    assert "You are logged out" in page.text
    assert f'href="{iam_hub.iam.config.login_url}logout"' in page.text
    assert iam_hub.iam.post("introspect", token=token).json["active"] is False
    refused = iam_hub.ask(path, service)
    assert (refused.status, refused.json["code"]) == (401, "login-missing")


def test_others_in_the_hub_are_told_when_a_user_logs_out(iam_hub: Hub) -> None:
    browser, _ = iam_hub.log_in("carol")
    browser.send(f"{iam_hub.url}/hub/logout")
    left = iam_hub.root / "left"
    wait_for(lambda: "carol" in left.read_text().split(), "word of the logout")
    # who is not logged in leaves nothing
    browser.send(f"{iam_hub.url}/hub/logout")
    iam_hub.log_in("carol")
    assert left.read_text().split().count("carol") == 1


def test_nobody_signs_the_policy_for_somebody_else(iam_hub: Hub) -> None:
    alice, _ = iam_hub.log_in("alice")
    store = iam_hub.iam.people()
    people = {name: store.person(username=name) for name in ("alice", "bob")}
    subs = {name: person.sub for name, person in people.items() if person}
    store.set_policy("Behave.")
    try:
        bob, redirect = begin(iam_hub)
        page = bob.follow(bob.log_in(bob.send(redirect.location), "bob"))
        form = re.search(r'name="form" value="([^"]+)"', page.text)
        assert form
        named = {"sub": subs["alice"], "username": "alice", "person": "alice"}
        bob.send(f"{page.url}&{urlencode(named)}", {"form": form[1], "button": "Sign"} | named)
        assert store.unsigned_policy(subs["bob"]) is None
        assert store.unsigned_policy(subs["alice"]) == "Behave."
        answer = iam_hub.api(alice, "users/alice/server", "POST")
        assert answer.status == 401
        assert "sign its acceptable use policy" in answer.text
    finally:
        store.set_policy(None)
        store.close()


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example/", "/\\evil.example"])
def test_login_ends_on_the_hub_when_next_points_elsewhere(iam_hub: Hub, path: str) -> None:
    browser = iam_hub.iam.browser()
    page = browser.follow(browser.send(f"{iam_hub.url}/hub/oauth_login?next={path}"))
    answer = browser.log_in(page, "alice")
    for _ in range(4):
        assert answer.location.startswith("http://127.0.0.1:")
        answer = browser.send(answer.location)
        if answer.status not in {301, 302, 303}:
            break


def test_no_secret_is_left_behind_when_users_have_come_and_gone(iam_hub: Hub) -> None:
    browser, page = iam_hub.log_in("alice")
    token = iam_hub.start_server(browser, "alice")
    answer = iam_hub.ask("token?audience=storage", token)
    given = answer.json["access_token"]
    pages = [page.text, browser.send(f"{iam_hub.url}/hub/home").text]
    pages += [browser.send(f"{iam_hub.url}/hub/token").text, iam_hub.api(browser, "user").text]
    pages.append(begin(iam_hub)[0].send(f"{iam_hub.url}/hub/oauth_callback?code=x&state=y").text)
    database = (iam_hub.root / "hub.sqlite").read_bytes().decode("latin-1")
    environment = " ".join(iam_hub.environment("alice").values())
    for place in (*pages, iam_hub.log, iam_hub.iam.log, database, environment):
        assert not JWT.search(place)
        assert given not in place
        assert iam_hub.iam.secret not in place
    iam_hub.stop_server(browser, "alice")
