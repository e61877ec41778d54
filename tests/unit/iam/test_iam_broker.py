"""The broker against a real identity provider: what a logout ends, and what it meets."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from af_hub.errors import SessionOver
from af_hub.iam.broker import Audience, Broker
from af_hub.iam.discovery import Issuer
from af_hub.iam.http import IAMHttp
from af_hub.iam.logout import end_login
from af_hub.iam.session import Login, Sessions
from af_hub.iam.tokens import TokenAnswer, TokenEndpoint
from af_hub.secret import Secret
from testbed.logins import MemoryUser

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.iam import IAM

SCOPE = "storage.read:/store/cms"


class Gated(TokenEndpoint):
    """Holds back what an exchange has brought."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.begun, self.gate = asyncio.Event(), asyncio.Event()
        self.gate.set()
        self.given: list[Secret] = []

    async def exchange(self, subject: Secret, *, audience: str, scope: str) -> TokenAnswer:
        """Exchange, and wait."""
        answer = await super().exchange(subject, audience=audience, scope=scope)
        self.given.append(answer.access_token)
        self.begun.set()
        await self.gate.wait()
        return answer


@dataclass
class Bench:
    """A broker, and what it stands on."""

    iam: IAM
    user: MemoryUser
    endpoint: Gated
    sessions: Sessions
    broker: Broker = field(init=False)

    def __post_init__(self) -> None:
        """Make the broker."""
        audiences = {
            "storage": Audience("https://storage.example", SCOPE),
            "other": Audience("https://other.example", SCOPE),
        }
        self.broker = Broker(self.endpoint, self.sessions, audiences, login=self.login)

    async def login(self, user: Any) -> Login:
        """Return the login."""
        return await self.sessions.ensure(user, margin=60, max_age=3600)

    async def log_out(self) -> Any:
        """End it."""
        return await end_login(self.user, self.sessions, self.broker, self.endpoint, revoke=True)


@pytest.fixture
def bench(iam: IAM) -> Bench:
    """Give a broker for alice, who has just logged in."""
    http = IAMHttp(str(iam.layout.ca_bundle))
    endpoint = Gated(
        Issuer(iam.issuer, http),
        http,
        client_id="af-hub",
        secret=lambda: Secret(iam.secret),
        basic_auth=False,
    )

    async def accept(old: Login, answer: TokenAnswer) -> Login:
        return replace(old, access_token=answer.access_token)

    async def apply(user: Any, login: Login) -> None:
        await user.save_auth_state(login.to_state())

    tokens = iam.log_in("alice")
    state = tokens | {"sub": "alice", "iss": iam.issuer, "expires_at": 4e9, "checked_at": 4e9}
    return Bench(
        iam, MemoryUser("alice", state), endpoint, Sessions(endpoint, accept=accept, apply=apply)
    )


async def test_one_token_is_made_per_audience_and_scope_when_many_ask(bench: Bench) -> None:
    asked = [("storage", ""), ("storage", f"{SCOPE}/a"), ("other", "")]
    for _ in range(3):
        await asyncio.gather(*(bench.broker.token(bench.user, *one) for one in asked * 50))
    assert len(bench.endpoint.given) == 3


async def test_a_token_that_is_being_made_is_given_to_nobody_when_its_user_logs_out(
    bench: Bench,
) -> None:
    bench.endpoint.gate.clear()
    asked = asyncio.ensure_future(bench.broker.token(bench.user, "storage"))
    await bench.endpoint.begun.wait()
    ended = await bench.log_out()
    bench.endpoint.gate.set()
    with pytest.raises(SessionOver, match="login-missing"):
        await asked
    assert ended.revoked
    assert not bench.iam.is_active(bench.endpoint.given[0].reveal())
    with pytest.raises(SessionOver, match="login-missing"):
        await bench.broker.token(bench.user, "storage")


@contextmanager
def unrevoked(bench: Bench, kind: str) -> Iterator[None]:
    """Let the provider revoke nothing."""
    if kind == "absent":
        with bench.iam.switched(discovery={"revocation_endpoint": None}):
            yield
    else:
        with bench.iam.failing("revoke", kind, status=400, error="unsupported_token_type"):
            yield


@pytest.mark.parametrize(
    ("kind", "code"),
    [("absent", ""), ("echo", "iam-refused-hub"), ("drop", "iam-unreachable")],
)
async def test_a_logout_says_so_when_the_tokens_live_on(bench: Bench, kind: str, code: str) -> None:
    with unrevoked(bench, kind):
        token = await bench.broker.token(bench.user, "storage")
        ended = await bench.log_out()
    assert (ended.revoked, ended.code) == (False, code)
    assert ended.until == 4e9  # the login's, which ends last
    assert bench.iam.is_active(token.access_token.reveal())
    assert bench.user.state == {"iss": bench.iam.issuer, "sub": "alice"}


async def test_a_logout_ends_the_others_when_one_token_cannot_be_revoked(bench: Bench) -> None:
    tokens = [await bench.broker.token(bench.user, name) for name in ("storage", "other")]
    with bench.iam.failing("revoke", "status", times=1):
        ended = await bench.log_out()
    assert (ended.revoked, ended.code) == (False, "iam-failed")
    assert [bench.iam.is_active(one.access_token.reveal()) for one in tokens].count(True) <= 1
