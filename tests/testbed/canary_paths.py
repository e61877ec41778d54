"""Every path on which a secret of a login travels, by name: driven by `tests/hub/test_canaries.py`.

The identity provider repeats in its refusals whatever it was sent, as the real one does.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

from af_hub.embedded.iam.switches import Fault
from af_hub.iam.tokens import EXCHANGE
from testbed.canary_hub import code_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed.canary_hub import Witness

PLANTED: Final = "planted-0123456789abcdef-0123456789abcdef"
TOKEN: Final = "users/{}/token?audience={}"


def echo(status: int, error: str, words: str = "", at: Any = "token", grant: str = "") -> Fault:
    """Make the provider refuse and repeat what it was sent."""
    return Fault(at=at, kind="echo", status=status, error=error, body=words, grant=grant)


# --- what the token endpoint may answer, to whatever it is asked: code → fault ---

ANSWERS: Final[dict[str, tuple[str, Fault]]] = {
    "dead token": ("login-over", echo(401, "invalid_token")),
    "dead grant": ("login-over", echo(400, "invalid_grant", "Invalid:")),
    "policy not signed": ("aup-not-signed", echo(400, "invalid_grant", "bob needs to sign AUP")),
    "account disabled": ("account-disabled", echo(401, "unauthorized", "bob is not active.")),
    "wrong client secret": ("iam-refused-hub", echo(401, "unauthorized", "Bad credentials")),
    "foreign scope": ("token-not-granted", echo(400, "invalid_scope")),
    "broken": ("iam-failed", echo(500, "server_error")),
    "unreadable": ("iam-answer", Fault(kind="garbage", body=f"{{{PLANTED}")),
    "of another type": (
        "iam-answer",
        Fault(kind="garbage", body=f'{{"access_token": "{PLANTED}", "id_token": "{PLANTED}"}}'),
    ),
    "hanging": ("iam-unreachable", Fault(kind="hang")),
    "lost": ("iam-unreachable", Fault(kind="lost", times=1)),
    "half": ("iam-unreachable", Fault(kind="cut", times=1)),
}

# --- what may be wrong with a login that was granted: expected code → switches ---

LOGINS: Final[dict[str, dict[str, Any]]] = {
    "token-issuer": {"id_token": {"iss": "https://evil.example/"}},
    "token-audience": {"id_token": {"aud": "somebody-else"}},
    "token-azp": {"id_token": {"azp": "somebody-else"}},
    "token-nonce": {"id_token": {"nonce": PLANTED}},
    "token-claims": {"id_token": {"sub": None}},
    "token-clock": {"id_token": {"iat": 4e9}},
    "token-expired": {"id_token": {"exp": 1e9}},
    "token-not-yet-valid": {"id_token": {"nbf": 4e9}},
    "token-hash": {"id_token": {"at_hash": PLANTED}},
    "token-signature": {"spoil_signature": True},
    "token-algorithm": {"algorithm": "none"},
    "token-key-unknown": {"id_token_header": {"kid": PLANTED}},
    "token-malformed": {"token_answer": {"id_token": f"{PLANTED}.{PLANTED}.{PLANTED}"}},
    "token-missing": {"token_answer": {"id_token": None}},
    "groups-malformed": {"id_token": {"wlcg.groups": "/cms"}},
    "profile-version": {"id_token": {"wlcg.ver": "9.0"}},
    "claims-malformed": {"userinfo": {"preferred_username": None}},
    "name-not-usable": {"userinfo": {"preferred_username": f"{PLANTED} {PLANTED}"}},
    "name-taken": {"userinfo": {"preferred_username": "alice"}},
    "userinfo-subject": {"userinfo": {"sub": PLANTED}},
    "login-over": {"faults": (echo(401, "invalid_token", at="userinfo"),)},
    "iam-failed": {"faults": (echo(500, "server_error", at="userinfo"),)},
    "iam-answer": {"faults": (Fault(at="userinfo", kind="garbage", body=PLANTED),)},
    "iam-refused-hub": {"faults": (echo(400, "invalid_request", at="userinfo"),)},
}

# --- what the callback may be called with ---

CALLBACKS: Final = {
    "login-state": "code={code}&state=planted",
    "login-code": "state={state}",
    "login-issuer": "code={code}&state={state}&iss=https%3A%2F%2Fevil.example",
    "login-refused": "error=access_denied&error_description=no%20{code}%20{long}&state={state}",
}

# --- the paths ---

PATHS: dict[str, Callable[[Witness], None]] = {}
"""Name → what drives it, and sees that it ends as it should."""


def path(drive: Callable[[Witness], None]) -> Callable[[Witness], None]:
    """Put a path into the list."""
    PATHS[drive.__name__.replace("_", " ")] = drive
    return drive


def each(name: str, drive: Callable[..., None], table: dict[str, Any]) -> None:
    """Put a path into the list for each entry of a table."""
    for key, value in table.items():
        PATHS[f"{name}: {key}"] = partial(drive, key=key, value=value)


def answered_login(witness: Witness, *, key: str, value: tuple[str, Fault]) -> None:
    """Redeem a code, and get that answer."""
    browser, callback = witness.come_back("bob")
    with witness.hub.iam.switched(value[1]):
        assert code_of(browser.send(callback)) == value[0], key


def refused_login(witness: Witness, *, key: str, value: dict[str, Any]) -> None:
    """Log in while the provider is switched so."""
    browser, callback = witness.come_back("bob")
    faults = value.get("faults", ())
    with witness.hub.iam.switched(*faults, **{k: v for k, v in value.items() if k != "faults"}):
        assert code_of(browser.send(callback)) == key


def refused_callback(witness: Witness, *, key: str, value: str) -> None:
    """Come back from the provider with that query."""
    browser, callback = witness.come_back("bob")
    query = parse_qs(urlsplit(callback).query)
    code, state = query["code"][0], query["state"][0]
    witness.learn("planted in the address", PLANTED)
    query_string = value.format(code=code, state=state, long=PLANTED)
    assert code_of(browser.send(f"{callback.partition('?')[0]}?{query_string}")) == key


def answered_refresh(witness: Witness, *, key: str, value: tuple[str, Fault]) -> None:
    """Start a server, for which the login is refreshed, and get that answer."""
    browser, _ = witness.log_in("bob")
    fault = value[1].model_copy(update={"grant": "refresh_token"})
    with witness.hub.iam.switched(fault):
        assert witness.start(browser, "bob").headers["AF-Refusal"] == value[0], key


def answered_exchange(witness: Witness, *, key: str, value: tuple[str, Fault]) -> None:
    """Ask for a token, for which the login's is exchanged, and get that answer."""
    witness.log_in("bob")
    fault = value[1].model_copy(update={"grant": EXCHANGE, "times": None})
    with witness.hub.iam.switched(fault):
        answer = witness.ask(TOKEN.format("bob", "storage"), witness.service)
        assert code_of(answer) == value[0], key


def answered_logout(witness: Witness, *, key: str, value: tuple[str, Fault]) -> None:
    """Log out, and get that answer to the request to revoke."""
    browser, _ = witness.log_in("bob")
    with witness.hub.iam.switched(value[1].model_copy(update={"at": "revoke"})):
        page = browser.send(f"{witness.hub.url}/hub/logout")
        assert code_of(page) == value[0], key


REVOCATIONS: Final = {
    "broken": ANSWERS["broken"],
    "refused": ("iam-refused-hub", echo(400, "invalid_request")),
    "hanging": ANSWERS["hanging"],
}

each("login", answered_login, ANSWERS)
each("login", refused_login, LOGINS)
each("callback", refused_callback, CALLBACKS)
each("refresh", answered_refresh, ANSWERS)
each("exchange", answered_exchange, ANSWERS)
each("logout", answered_logout, REVOCATIONS)


@path
def all_goes_well(witness: Witness) -> None:
    browser, page = witness.log_in("alice")
    assert page.status == 200
    hub = witness.hub
    try:
        token = hub.start_server(browser, "alice")
        witness.learn_stored()
        assert witness.ask("token?audience=storage", token).status == 200
        assert witness.ask(TOKEN.format("alice", "storage"), witness.service).status == 200
        for page_ in ("home", "token", "api/user", "spawn", "api/af/health"):
            browser.send(f"{hub.url}/hub/{page_}")
        witness.keep_processes()
    finally:
        hub.stop_server(browser, "alice")
    assert "has ended them" in browser.send(f"{hub.url}/hub/logout").text


@path
def nobody_lets_the_user_in(witness: Witness) -> None:
    assert code_of(witness.log_in("eve")[1]) == "group-not-allowed"


@path
def a_group_is_lost(witness: Witness) -> None:
    browser, _ = witness.log_in("carol")
    with changed(witness, "carol", groups=frozenset()):
        assert witness.start(browser, "carol").headers["AF-Refusal"] == "group-not-allowed"
        refused = witness.ask(TOKEN.format("carol", "storage"), witness.service)
        assert code_of(refused) == "group-not-allowed"


@path
def another_person_comes_with_a_refresh(witness: Witness) -> None:
    browser, _ = witness.log_in("bob")
    with witness.hub.iam.switched(id_token={"sub": PLANTED}):
        assert witness.start(browser, "bob").headers["AF-Refusal"] == "identity-changed"


@path
def a_refresh_token_is_dead(witness: Witness) -> None:
    browser, _ = witness.log_in("bob")
    for token, kind in list(witness.secrets.items()):
        if kind == "refresh_token":
            witness.hub.iam.post("revoke", token=token)
    # here the provider repeats the token by itself
    assert witness.start(browser, "bob").headers["AF-Refusal"] == "login-over"
    assert code_of(witness.ask(TOKEN.format("bob", "storage"), witness.service)) == "login-missing"


@path
def a_logout_meets_a_disabled_account(witness: Witness) -> None:
    browser, _ = witness.log_in("carol")
    with changed(witness, "carol", active=False):
        assert witness.start(browser, "carol").headers["AF-Refusal"] == "account-disabled"
        assert "You are logged out" in browser.send(f"{witness.hub.url}/hub/logout").text


@path
def the_broker_refuses(witness: Witness) -> None:
    browser, _ = witness.log_in("bob")
    witness.learn("planted in the address", PLANTED)
    tokens = {"": PLANTED, "service": witness.service}
    tokens["other"] = witness.hub.services["other"]
    made = witness.hub.api(browser, "users/bob/tokens", "POST").json["token"]
    witness.answers[witness.path].pop()  # which has to hold it
    witness.learn("personal token", made)
    tokens["bob"] = made
    for who, where, code in (
        ("", "token?audience=storage", "token-missing"),
        ("service", "token?audience=storage", "scope-missing"),
        ("service", TOKEN.format(PLANTED, "storage"), "scope-missing"),
        ("service", TOKEN.format("bob", PLANTED), "audience-refused"),
        ("service", TOKEN.format("bob", "typo"), "audience-unknown"),
        ("service", TOKEN.format("bob", "rotating"), "refresh-method-unsafe"),
        ("service", TOKEN.format("bob", f"storage&scope={PLANTED}"), "scope-refused"),
        ("service", TOKEN.format("bob", f"storage&min_left={PLANTED}"), "min-left-malformed"),
        ("other", TOKEN.format("bob", "storage"), "audience-refused"),
        ("bob", "token?audience=storage", "not-a-server"),
        ("bob", TOKEN.format("alice", "storage"), "not-a-service"),
    ):
        assert code_of(witness.ask(where, tokens[who])) == code, (who, where)
    for part in range(4):
        scope = f"storage&scope=storage.read:/store/cms/{part}"
        answer = witness.ask(TOKEN.format("bob", scope), witness.service)
    assert code_of(answer) == "too-many-tokens"


@path
def a_logout_comes_while_a_refresh_hangs(witness: Witness) -> None:
    browser, _ = witness.log_in("bob")
    iam = witness.hub.iam
    with iam.failing("token", "hang", grant="refresh_token"):
        iam.forget_calls()
        start = threading.Thread(target=witness.start, args=(browser, "bob"))
        start.start()
        while not iam.calls("token", grant="refresh_token"):
            time.sleep(0.02)
        other = witness.browser()
        for cookie in browser.jar:
            other.jar.set_cookie(cookie)
        assert "You are logged out" in other.send(f"{witness.hub.url}/hub/logout").text
        start.join(20)
    assert witness.stored()["bob"].keys() == {"iss", "sub"}


@path
def the_identity_provider_is_away(witness: Witness) -> None:
    browser, callback = witness.come_back("bob")
    inside, _ = witness.log_in("dora")
    witness.hub.iam.stop()
    try:
        assert code_of(browser.send(callback)) == "iam-unreachable"
        assert witness.start(inside, "dora").headers["AF-Refusal"] == "iam-unreachable"
        page = inside.send(f"{witness.hub.url}/hub/logout")
        assert code_of(page) == "iam-unreachable"
    finally:
        witness.hub.iam.start()


@path
def the_database_is_locked(witness: Witness) -> None:
    browser, callback = witness.come_back("bob")
    other = sqlite3.connect(witness.hub.root / "hub.sqlite")
    other.execute("BEGIN IMMEDIATE")
    try:
        assert browser.send(callback).status == 500
    finally:
        other.rollback()
        other.close()
    assert "database is locked" in witness.hub.log


@path
def the_secret_file_is_gone(witness: Witness) -> None:
    browser, callback = witness.come_back("bob")
    file = witness.hub.iam.client.secret_file
    file.rename(file.with_suffix(".away"))
    try:
        assert code_of(browser.send(callback)) == "client-secret-file"
    finally:
        file.with_suffix(".away").rename(file)


@contextmanager
def changed(witness: Witness, username: str, **changes: Any) -> Iterator[None]:
    """Change an account for the time of the ``with`` block."""
    store = witness.hub.iam.people()
    person = store.person(username=username)
    assert person is not None
    store.save_person(replace(person, **changes))
    try:
        yield
    finally:
        store.save_person(person)
        store.close()
