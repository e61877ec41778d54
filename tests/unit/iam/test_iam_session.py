"""Refresh against a real identity provider: one at a time, nothing lost."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from af_hub.errors import IAMUnavailable, IdentityError, SessionOver
from af_hub.iam.discovery import Issuer
from af_hub.iam.http import IAMHttp
from af_hub.iam.pace import RATE, places
from af_hub.iam.reader import LoginReader
from af_hub.iam.session import Login, Sessions, pin_of
from af_hub.iam.tokens import TokenAnswer, TokenEndpoint
from af_hub.secret import Secret
from testbed.iam import IAM, start_iam

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from af_hub.iam.claims import TokenProfile


@dataclass
class User:
    """A hub user whose auth_state lies in memory; reads and writes give way, as the hub's do."""

    name: str
    state: dict[str, Any] | None

    async def get_auth_state(self) -> dict[str, Any] | None:
        """Read."""
        await asyncio.sleep(0)
        return self.state

    async def save_auth_state(self, auth_state: dict[str, Any] | None) -> None:
        """Write."""
        await asyncio.sleep(0)
        self.state = auth_state


def endpoint_of(iam: IAM, secret: str = "") -> TokenEndpoint:
    http = IAMHttp(str(iam.layout.ca_bundle))
    return TokenEndpoint(
        Issuer(iam.issuer, http),
        http,
        client_id="af-hub",
        secret=lambda: Secret(secret or iam.secret),
        basic_auth=False,
    )


def sessions_of(iam: IAM, secret: str = "") -> Sessions:
    async def accept(old: Login, answer: TokenAnswer) -> Login:
        return replace(
            old,
            access_token=answer.access_token,
            expires_at=answer.expires_at,
            checked_at=answer.expires_at - 3600,
        )

    async def apply(user: User, login: Login) -> None:
        await user.save_auth_state(login.to_state())

    return Sessions(endpoint_of(iam, secret), accept=accept, apply=apply)


def user_of(iam: IAM, name: str = "bob") -> User:
    tokens = iam.log_in(name)
    login = Login(
        access_token=Secret(tokens["access_token"]),
        refresh_token=Secret(tokens["refresh_token"]),
        id_token=None,
        expires_at=0.0,
        scope=tokens["scope"],
        iss=iam.issuer,
        sub="sub",
        name=name,
        groups=("/cms",),
        checked_at=0.0,
    )
    return User(name, login.to_state())


def grants(iam: IAM) -> int:
    return iam.log.count("machine POST '/token'")


@pytest.fixture(scope="module", params=[False, True], ids=["rotating", "reusing"])
def own_iam(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[IAM]:
    """Give an identity provider whose token calls nobody else makes."""
    iam = start_iam(
        tmp_path_factory.mktemp("iam"),
        reuse_refresh_token=request.param,
        clear_access_tokens_on_refresh=request.param,
    )
    yield iam
    iam.stop()


async def test_one_refresh_is_made_when_fifty_requests_come_at_expiry(own_iam: IAM) -> None:
    user, sessions = user_of(own_iam), sessions_of(own_iam)
    before = grants(own_iam)
    logins = await asyncio.gather(
        *(sessions.ensure(user, margin=300, max_age=600) for _ in range(50))
    )
    assert grants(own_iam) == before + 1
    assert len({login.access_token for login in logins}) == 1
    token = logins[0].access_token.reveal()
    assert own_iam.post("introspect", token=token).json["active"] is True


async def test_one_refresh_is_made_when_fifty_starts_ask_at_once(own_iam: IAM) -> None:
    user, sessions = user_of(own_iam), sessions_of(own_iam)
    before = grants(own_iam)
    await asyncio.gather(*(sessions.ensure(user, margin=0, max_age=0) for _ in range(50)))
    # those that wait take the answer of the one that asked after them; at most one more
    assert grants(own_iam) <= before + 2


async def test_no_call_is_made_when_the_login_is_fresh(own_iam: IAM) -> None:
    user, sessions = user_of(own_iam), sessions_of(own_iam)
    await sessions.ensure(user, margin=300, max_age=600)
    before = grants(own_iam)
    await sessions.ensure(user, margin=300, max_age=600)
    assert grants(own_iam) == before


async def test_tokens_are_stored_when_the_request_is_cancelled(own_iam: IAM) -> None:
    user, sessions = user_of(own_iam), sessions_of(own_iam)
    request = asyncio.create_task(sessions.ensure(user, margin=300, max_age=600))
    before = grants(own_iam)
    while grants(own_iam) == before:  # noqa: ASYNC110  another process's log
        await asyncio.sleep(0.005)
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    assert (await sessions.ensure(user, margin=300, max_age=600)).expires_at > 0
    assert grants(own_iam) == before + 1


async def test_login_is_over_and_the_pin_stays_when_iam_revoked_it(own_iam: IAM) -> None:
    user, sessions = user_of(own_iam), sessions_of(own_iam)
    assert user.state is not None
    own_iam.post("revoke", token=user.state["refresh_token"])
    with pytest.raises(SessionOver) as caught:
        await sessions.ensure(user, margin=300, max_age=600)
    assert caught.value.code == "login-over"
    assert user.state == pin_of(user.state) == {"iss": own_iam.issuer, "sub": "sub"}
    before = grants(own_iam)
    with pytest.raises(SessionOver):
        await sessions.ensure(user, margin=300, max_age=600)
    assert grants(own_iam) == before


async def test_nobody_is_logged_out_when_the_client_secret_is_wrong(own_iam: IAM) -> None:
    user = user_of(own_iam)
    with pytest.raises(IAMUnavailable) as caught:
        await sessions_of(own_iam, "planted-wrong-secret").ensure(user, margin=300, max_age=600)
    assert caught.value.code == "iam-refused-hub"
    assert user.state is not None
    assert user.state["refresh_token"]


@contextmanager
def disabled(iam: IAM, username: str) -> Iterator[None]:
    """Disable an account meanwhile."""
    store = iam.people()
    person = store.person(username=username)
    assert person is not None
    try:
        store.save_person(replace(person, active=False))
        yield
    finally:
        store.save_person(person)
        store.close()


async def failed(sessions: Sessions, user: User, *, max_age: float = 600) -> str:
    """Return the code of a refresh that fails."""
    with pytest.raises((IAMUnavailable, SessionOver)) as caught:
        await sessions.ensure(user, margin=300, max_age=max_age)
    return caught.value.code


async def test_no_request_tries_again_when_a_refresh_has_just_failed(own_iam: IAM) -> None:
    user, sessions = user_of(own_iam), sessions_of(own_iam)
    with own_iam.failing("token"):
        assert await failed(sessions, user) == "iam-failed"
    before = grants(own_iam)
    assert await failed(sessions, user) == "iam-failed"
    assert grants(own_iam) == before
    other, sessions = user_of(own_iam, "carol"), sessions_of(own_iam)
    with disabled(own_iam, "carol"):
        assert await failed(sessions, other) == "account-disabled"
        before = grants(own_iam)
        for _ in range(20):
            assert await failed(sessions, other) == "account-disabled"
        assert grants(own_iam) == before


async def test_a_start_is_refused_when_the_account_ends_after_a_failed_refresh(
    own_iam: IAM,
) -> None:
    user, sessions = user_of(own_iam), sessions_of(own_iam)
    with own_iam.failing("token"):
        assert await failed(sessions, user) == "iam-failed"
    with disabled(own_iam, "bob"):
        assert await failed(sessions, user, max_age=0) == "account-disabled"
    assert (await sessions.ensure(user, margin=300, max_age=0)).expires_at > 0


async def test_one_call_is_made_when_fifty_starts_fail_together(own_iam: IAM) -> None:
    user, sessions = user_of(own_iam), sessions_of(own_iam)
    before = grants(own_iam)
    with own_iam.failing("token"):
        told = await asyncio.gather(*(failed(sessions, user, max_age=0) for _ in range(50)))
    assert set(told) == {"iam-failed"}
    assert grants(own_iam) == before + 1


async def test_a_new_login_ends_the_pause_when_the_one_before_failed(own_iam: IAM) -> None:
    user, sessions = user_of(own_iam), sessions_of(own_iam)
    with own_iam.failing("token"):
        assert await failed(sessions, user) == "iam-failed"
    login = Login.from_state(user_of(own_iam).state)
    assert login is not None
    user.state = replace(login, checked_at=time.time()).to_state()  # its token has no time left
    assert (await sessions.ensure(user, margin=300, max_age=600)).expires_at > 0


@dataclass
class Returning(User):
    """A user who logs in anew while the login before is being refreshed."""

    then: dict[str, Any] | None = None
    reads: int = 0

    async def get_auth_state(self) -> dict[str, Any] | None:
        """Read; the second time the new login has come."""
        self.reads += 1
        if self.reads == 2:
            self.state = self.then
        return await super().get_auth_state()


@pytest.mark.parametrize("over", [False, True], ids=["refreshed", "over"])
async def test_a_new_login_is_kept_when_it_comes_during_a_refresh(own_iam: IAM, over: bool) -> None:
    former, login = user_of(own_iam).state, Login.from_state(user_of(own_iam).state)
    assert former is not None
    assert login is not None
    then = replace(login, checked_at=time.time()).to_state()
    user, sessions = Returning("bob", former, then), sessions_of(own_iam)
    if over:
        own_iam.post("revoke", token=former["refresh_token"])
    kept = await sessions.ensure(user, margin=300, max_age=600)
    assert kept.refresh_token == login.refresh_token
    assert user.state == then


async def test_narrowing_by_refresh_is_refused_when_it_would_end_other_tokens(own_iam: IAM) -> None:
    user, sessions = user_of(own_iam), sessions_of(own_iam)
    ask = sessions.narrowed(user, audience="https://s", scope="storage.read:/store/cms")
    if own_iam.client.reuse_refresh_token:
        assert (await ask).scope == "storage.read:/store/cms"
        return
    with pytest.raises(IAMUnavailable) as caught:
        await ask
    assert caught.value.code == "refresh-method-unsafe"
    assert (await sessions.ensure(user, margin=300, max_age=600)).expires_at > 0  # kept the new one


async def test_narrowing_waits_for_its_turn_when_many_want_it(own_iam: IAM) -> None:
    user, sessions = user_of(own_iam), sessions_of(own_iam)
    async with AsyncExitStack() as stack:
        for _ in range(places(RATE)):
            await stack.enter_async_context(sessions.pace.turn())
        ask = asyncio.create_task(sessions.narrowed(user, audience="https://s", scope=""))
        before = grants(own_iam)
        await asyncio.sleep(0.5)
        assert grants(own_iam) == before
    await asyncio.gather(ask, return_exceptions=True)
    assert grants(own_iam) == before + 1


async def test_exchange_is_refused_when_no_scope_is_granted(iam: IAM) -> None:
    token = Secret(iam.log_in("carol")["access_token"])
    with pytest.raises(IdentityError) as caught:
        await endpoint_of(iam).exchange(token, audience="x", scope="storage.read:/store/cms")
    assert caught.value.code == "token-not-granted"


async def test_userinfo_is_refused_when_it_is_about_somebody_else(iam: IAM) -> None:
    token = Secret(iam.log_in("carol")["access_token"])
    with pytest.raises(IdentityError) as caught:
        await endpoint_of(iam).userinfo(token, sub="alice")
    assert caught.value.code == "userinfo-subject"


async def test_no_call_succeeds_when_the_certificate_is_not_trusted(
    iam: IAM, tmp_path: Path
) -> None:
    empty = tmp_path / "ca.pem"
    empty.write_bytes(b"")
    with pytest.raises(IAMUnavailable) as caught:
        await IAMHttp().get(f"{iam.issuer}jwk", purpose="keys")
    assert caught.value.code == "iam-certificate"
    with pytest.raises(IAMUnavailable):
        await IAMHttp(str(empty)).get(f"{iam.issuer}jwk", purpose="keys")


async def test_discovery_is_refused_when_it_names_another_issuer(iam: IAM) -> None:
    http = IAMHttp(str(iam.layout.ca_bundle))
    other = Issuer(iam.issuer.replace("127.0.0.1", "localhost"), http)
    with pytest.raises(IAMUnavailable) as caught:
        await other.endpoints()
    assert caught.value.code == "iam-issuer"


def reader_of(iam: IAM, profile: TokenProfile = "wlcg") -> LoginReader:
    http = IAMHttp(str(iam.layout.ca_bundle))
    return LoginReader(
        Issuer(iam.issuer, http),
        endpoint_of(iam),
        client_id="af-hub",
        profile=profile,
        username_claim="preferred_username",
        algorithms=("RS256",),
    )


def answer_of(tokens: dict[str, Any]) -> TokenAnswer:
    return TokenAnswer.parse(tokens, asked="", now=0.0)


async def test_person_is_read_when_the_profile_is_guessed(iam: IAM) -> None:
    name, login = await reader_of(iam, "auto").first(
        answer_of(iam.log_in("alice")), nonce="n-0S6_WzA2Mj"
    )
    assert (name, login.groups) == ("alice", ("/cms", "/cms/uscms"))
    assert not login.by_userinfo


async def test_login_is_refused_when_there_was_no_nonce(iam: IAM) -> None:
    with pytest.raises(IdentityError) as caught:
        await reader_of(iam).first(answer_of(iam.log_in("alice")), nonce="")
    assert caught.value.code == "token-nonce"


async def test_refresh_is_refused_when_it_is_for_another_person(iam: IAM) -> None:
    reader = reader_of(iam)
    _, alice = await reader.first(answer_of(iam.log_in("alice")), nonce="n-0S6_WzA2Mj")
    with pytest.raises(IdentityError) as caught:
        await reader.again(alice, answer_of(iam.log_in("bob")))
    assert caught.value.code == "identity-changed"


async def test_groups_are_kept_when_a_refresh_brings_no_id_token(iam: IAM) -> None:
    reader = reader_of(iam)
    tokens = iam.log_in("alice")
    _, alice = await reader.first(answer_of(tokens), nonce="n-0S6_WzA2Mj")
    again = await reader.again(alice, replace(answer_of(tokens), id_token=None))
    assert again.groups == ("/cms", "/cms/uscms")
    assert again.id_token == alice.id_token


async def test_new_keys_are_fetched_once_when_they_were_rotated(own_iam: IAM) -> None:
    reader = reader_of(own_iam)
    await reader.first(answer_of(own_iam.log_in("bob")), nonce="n-0S6_WzA2Mj")
    for expected in (1, 2):
        own_iam.stop()
        (own_iam.config.data / "signing-key.pem").unlink()
        own_iam.start()
        before = own_iam.log.count("GET '/jwk'")
        tokens = answer_of(own_iam.log_in("bob"))
        if expected == 1:
            await reader.first(tokens, nonce="n-0S6_WzA2Mj")
            assert own_iam.log.count("GET '/jwk'") == before + 1
        else:  # within the cool-down: invented key ids must not drive us
            with pytest.raises(IdentityError) as caught:
                await reader.first(tokens, nonce="n-0S6_WzA2Mj")
            assert caught.value.code == "token-key-unknown"
            assert own_iam.log.count("GET '/jwk'") == before
