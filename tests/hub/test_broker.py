"""Who gets which access token from the hub, and who does not."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import jwt
import pytest

from af_hub.iam.tokens import EXCHANGE
from testbed.clock_hub import get_all
from testbed.iam import Browser
from testbed.iam_hub import STORAGE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.iam_hub import Hub


@pytest.fixture(scope="module")
def server(iam_hub: Hub) -> Iterator[tuple[Browser, str]]:
    """Alice's running server: her browser and its API token."""
    browser, _ = iam_hub.log_in("alice")
    yield browser, iam_hub.start_server(browser, "alice")
    iam_hub.stop_server(browser, "alice")


def refused(answer: Any) -> tuple[int, str]:
    assert set(answer.json) == {"code", "message"}
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.status, answer.json["code"]


def test_a_narrow_token_is_given_when_the_users_own_server_asks(
    iam_hub: Hub, server: tuple[Browser, str]
) -> None:
    answer = iam_hub.ask("token?audience=storage", server[1])
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    token = answer.json
    assert set(token) == {
        "access_token",
        "token_type",
        "expires_at",
        "expires_in",
        "scope",
        "audience",
        "issuer",
    }
    claims = jwt.decode(token["access_token"], options={"verify_signature": False})
    assert claims["aud"] == token["audience"] == STORAGE
    assert claims["iss"] == token["issuer"] == iam_hub.iam.issuer.rstrip("/")
    assert set(token["scope"].split()) == {"storage.read:/store/cms", "storage.read:/store/open"}
    assert "wlcg.groups" not in claims
    assert abs(claims["exp"] - token["expires_at"]) <= 2
    assert 0 < token["expires_in"] <= token["expires_at"] - time.time() + 2


def test_one_token_is_kept_per_audience_when_asked_again(
    iam_hub: Hub, server: tuple[Browser, str]
) -> None:
    def ask(name: str) -> str:
        return str(iam_hub.ask(f"token?audience={name}", server[1]).json["access_token"])

    assert ask("storage") == ask("storage") != ask("other")
    service = iam_hub.ask("users/alice/token?audience=storage", iam_hub.services["dask-gateway"])
    assert service.json["access_token"] == ask("storage")


def test_unknown_audience_is_refused(iam_hub: Hub, server: tuple[Browser, str]) -> None:
    for query in ("token?audience=rucio", "token", "token?audience="):
        assert refused(iam_hub.ask(query, server[1])) == (404, "audience-unknown")


@pytest.mark.parametrize("least", ["-1", "1.5", "1e3", "", "1000000", "٣"])
def test_wanted_life_is_refused_when_it_is_no_number_of_seconds(
    iam_hub: Hub, server: tuple[Browser, str], least: str
) -> None:
    answer = iam_hub.ask(f"token?audience=storage&min_left={quote(least)}", server[1])
    assert refused(answer) == (400, "min-left-malformed")


def test_kept_token_is_given_when_more_life_is_wanted_than_any_has(
    iam_hub: Hub, server: tuple[Browser, str]
) -> None:
    kept = iam_hub.ask("token?audience=storage", server[1]).json
    again = iam_hub.ask("token?audience=storage&min_left=999999", server[1]).json
    third = iam_hub.ask("token?audience=storage&min_left=999999", server[1]).json
    assert third["access_token"] == again["access_token"]
    assert again["expires_at"] >= kept["expires_at"]


def test_personal_token_is_refused_when_it_is_not_a_servers(
    iam_hub: Hub, server: tuple[Browser, str]
) -> None:
    browser, _ = server
    xsrf = next(c.value for c in browser.jar if c.name == "_xsrf")
    made = browser.send(
        f"{iam_hub.url}/hub/api/users/alice/tokens",
        method="POST",
        headers={"X-XSRFToken": str(xsrf), "Sec-Fetch-Mode": "cors"},
    )
    token = json.loads(made.text)["token"]
    me = Browser().send(f"{iam_hub.url}/hub/api/user", headers={"Authorization": f"token {token}"})
    assert me.json["name"] == "alice"
    assert refused(iam_hub.ask("token?audience=storage", token)) == (403, "not-a-server")


def test_cookie_and_unknown_token_are_refused(iam_hub: Hub, server: tuple[Browser, str]) -> None:
    cookie = server[0].send(f"{iam_hub.url}/hub/api/af/token?audience=storage")
    assert refused(cookie)[0] in {401, 403}
    assert refused(iam_hub.ask("token?audience=storage", "0" * 32))[0] in {401, 403}


def test_another_users_token_is_refused(iam_hub: Hub, server: tuple[Browser, str]) -> None:
    iam_hub.log_in("bob")
    answer = iam_hub.ask("users/bob/token?audience=storage", server[1])
    assert refused(answer) == (403, "not-a-service")


@pytest.mark.parametrize(
    ("service", "path", "expected"),
    [
        ("dask-gateway", "users/alice/token?audience=other", (403, "audience-refused")),
        ("dask-gateway", "users/alice/token", (403, "audience-refused")),
        ("other", "users/alice/token?audience=storage", (403, "audience-refused")),
        ("dask-gateway", "users/nobody/token?audience=storage", (403, "scope-missing")),
        ("dask-gateway", "token?audience=storage", (403, "scope-missing")),
    ],
)
def test_service_is_refused_when_it_asks_outside_its_list(
    iam_hub: Hub,
    server: tuple[Browser, str],
    service: str,
    path: str,
    expected: tuple[int, str],
) -> None:
    assert refused(iam_hub.ask(path, iam_hub.services[service])) == expected


def test_server_gets_tokens_when_the_hub_was_restarted(
    iam_hub: Hub, server: tuple[Browser, str]
) -> None:
    # kill, as a crash: a hub that is stopped takes its servers along
    iam_hub.process.kill()
    iam_hub.process.wait()
    iam_hub.start()
    assert iam_hub.ask("token?audience=storage", server[1]).status == 200


def test_a_narrower_token_is_given_when_the_server_names_a_part_of_the_scope(
    iam_hub: Hub, server: tuple[Browser, str]
) -> None:
    def ask(scope: str) -> Any:
        return iam_hub.ask(f"token?audience=storage&scope={quote(scope)}", server[1])

    narrow = ask("storage.read:/store/cms/zmumu").json
    assert narrow["scope"] == "storage.read:/store/cms/zmumu"
    assert ask("storage.read:/store/cms/zmumu").json["access_token"] == narrow["access_token"]
    assert ask("").json["access_token"] != narrow["access_token"]
    for outside in ("storage.read:/store/cmsx", "storage.read:/store/cms/../atlas", "openid"):
        assert refused(ask(outside)) == (403, "scope-refused")


def test_every_token_is_ended_when_the_user_logs_out(iam_hub: Hub) -> None:
    browser, _ = iam_hub.log_in("dora")
    service = iam_hub.services["dask-gateway"]

    def ask(scope: str) -> str:
        query = f"users/dora/token?audience=storage&scope={quote(scope)}"
        return str(iam_hub.ask(query, service).json["access_token"])

    first = ask("")
    store = iam_hub.iam.people()
    dora = store.person(username="dora")
    assert dora is not None
    store.save_person(replace(dora, groups=dora.groups | {"atlas"}))
    try:
        iam_hub.start_server(browser, "dora")  # asks for the groups; the next token is another one
        iam_hub.stop_server(browser, "dora")
        tokens = [first, ask(""), ask("storage.read:/store/open")]
    finally:
        store.save_person(dora)
        store.close()
    assert len(set(tokens)) == 3
    browser.send(f"{iam_hub.url}/hub/logout")
    for token in tokens:
        assert iam_hub.iam.post("introspect", token=token).json["active"] is False


async def test_one_exchange_is_made_when_fifty_ask_at_once(
    iam_hub: Hub, server: tuple[Browser, str]
) -> None:
    scope = quote("storage.read:/store/cms/fifty")
    header = {"Authorization": f"token {server[1]}"}
    iam_hub.ask("token?audience=storage", server[1])  # the login is fresh
    iam_hub.iam.forget_calls()
    url = f"{iam_hub.url}/hub/api/af/token?audience=storage&scope={scope}"
    answers = await get_all(url, [header] * 50)
    assert [status for status, _ in answers] == [200] * 50
    assert len(iam_hub.iam.calls("token", grant=EXCHANGE)) == 1
    # another audience, or another scope, is another token
    for other in ("other&scope=", f"storage&scope={scope}/below", f"storage&scope={scope}"):
        assert iam_hub.ask(f"token?audience={other}", server[1]).status == 200
    assert len(iam_hub.iam.calls("token", grant=EXCHANGE)) <= 3


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_no_cache_keeps_the_answer_when_the_method_is_another(
    iam_hub: Hub, server: tuple[Browser, str], method: str
) -> None:
    for path in ("token?audience=storage", "users/alice/token?audience=storage"):
        answer = Browser().send(
            f"{iam_hub.url}/hub/api/af/{path}",
            headers={"Authorization": f"token {server[1]}"},
            method=method,
        )
        assert answer.status in {200, 204, 403, 404, 405}
        assert answer.headers["Cache-Control"] == "no-store"
        assert "access_token" not in answer.text
