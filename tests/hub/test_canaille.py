"""Logins at an identity provider that we did not write: Canaille, on Authlib.

It differs from INDIGO IAM in what matters here: access tokens that are no JWTs, no ID token from a
refresh, refresh tokens that rotate, an issuer without a slash, no token exchange, standard errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed.canaille import CanailleHub


def test_people_of_canaille_log_in_when_their_groups_allow_it(canaille_hub: CanailleHub) -> None:
    hub, provider = canaille_hub, canaille_hub.canaille
    dora, page = hub.log_in("dora")
    assert page.url == f"{hub.url}/hub/home", page.text
    _, page = hub.log_in("alice")
    assert page.url == f"{hub.url}/hub/home", page.text
    alice = hub.api(dora, "users/alice").json
    assert (sorted(alice["groups"]), alice["admin"]) == (["/cms", "/cms/uscms"], False)
    assert hub.api(dora, "users/dora").json["admin"] is True
    state = hub.auth_state(dora, "alice")
    assert (state["iss"], state["sub"], state["name"]) == (provider.url, "alice", "Alice")
    assert provider.is_active(state["access_token"])


def test_login_of_canaille_is_refused_when_the_person_is_in_no_group(
    canaille_hub: CanailleHub,
) -> None:
    browser, page = canaille_hub.log_in("eve")
    assert page.status == 403
    assert "<code>group-not-allowed</code>" in page.text
    assert canaille_hub.api(browser, "user").status == 403


def test_servers_start_again_and_again_when_canaille_rotates_refresh_tokens(
    canaille_hub: CanailleHub,
) -> None:
    hub, provider = canaille_hub, canaille_hub.canaille
    dora, _ = hub.log_in("dora")
    states = [hub.auth_state(dora, "dora")]
    for _ in range(2):
        # each start asks the provider by a refresh
        token = hub.start_server(dora, "dora")
        assert hub.ask("token?audience=storage", token).json["code"] == "audience-unknown"
        states.append(hub.auth_state(dora, "dora"))
        hub.stop_server(dora, "dora")
    assert len({state["refresh_token"] for state in states}) == 3
    assert [provider.is_active(state["refresh_token"]) for state in states] == [False, False, True]
    assert states[0]["groups"] == states[2]["groups"] == ["/cms/admins"]


def test_start_is_refused_when_the_person_has_left_the_group_at_canaille(
    canaille_hub: CanailleHub,
) -> None:
    browser, _ = canaille_hub.log_in("bob")
    for group in ("cms", "atlas"):
        canaille_hub.canaille.leave("bob", group)
    answer = canaille_hub.api(browser, "users/bob/server", "POST")
    assert answer.status == 403, answer.text
    assert "in no group any more" in answer.text


def test_start_is_refused_when_the_account_is_locked_at_canaille(canaille_hub: CanailleHub) -> None:
    browser, _ = canaille_hub.log_in("carol")
    canaille_hub.canaille.lock("carol")
    answer = canaille_hub.api(browser, "users/carol/server", "POST")
    assert answer.status == 401, answer.text
    assert "is not active" in answer.text


def test_tokens_of_canaille_are_ended_when_people_log_out(canaille_hub: CanailleHub) -> None:
    hub, provider = canaille_hub, canaille_hub.canaille
    dora, _ = hub.log_in("dora")
    alice, _ = hub.log_in("alice")
    state = hub.auth_state(dora, "alice")
    page = alice.send(f"{hub.url}/hub/logout")
    assert page.status == 200
    assert not provider.is_active(state["refresh_token"])
    assert not provider.is_active(state["access_token"])
    assert "access_token" not in hub.auth_state(dora, "alice")
