"""Keys and addresses of an issuer: fetched seldom, used for long, never for too long."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from af_hub.errors import IAMUnavailable
from af_hub.iam.discovery import COOL_DOWN, EXPIRE_AFTER, REFRESH_AFTER, Issuer
from af_hub.iam.http import IAMHttp
from af_hub.iam.signature import ALGORITHMS, UnknownKeyError, signed_claims
from testbed.oidc_provider import public, rsa_key, signed

if TYPE_CHECKING:
    from testbed.oidc_provider import OidcProvider

HOUR = 3600.0


class Clock:
    """Seconds that pass when a test says so."""

    now = 1e6

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(oidc_provider: OidcProvider, clock: Clock) -> Issuer:
    http = IAMHttp(str(oidc_provider.layout.ca_bundle))
    return Issuer(oidc_provider.url, http, clock=clock)


def read(token: str, keys: dict[str, Any]) -> dict[str, Any]:
    return signed_claims(token, keys, ALGORITHMS)[1]


def checking(kid: str, key: str = "") -> Any:
    """Return the check of a token that `key` has signed as `kid`."""
    return partial(read, signed({"sub": "x"}, rsa_key(key or kid), kid=kid))


def age(issuer: Issuer) -> float | None:
    return issuer.key_age


def fetches(provider: OidcProvider) -> int:
    return len(provider.asked("/jwk"))


async def test_keys_are_fetched_again_after_six_hours(
    oidc_provider: OidcProvider, issuer: Issuer, clock: Clock
) -> None:
    assert age(issuer) is None
    for _ in range(5):
        await issuer.keys()
    clock.now += REFRESH_AFTER - 1
    await issuer.keys()
    assert (fetches(oidc_provider), age(issuer)) == (1, REFRESH_AFTER - 1)
    clock.now += 2
    await issuer.keys()
    assert (fetches(oidc_provider), age(issuer)) == (2, 0)
    assert len(oidc_provider.asked("/.well-known/openid-configuration")) == 2
    assert REFRESH_AFTER == 6 * HOUR


async def test_one_fetch_is_made_when_a_hundred_tokens_come_after_a_key_rotation(
    oidc_provider: OidcProvider, issuer: Issuer, clock: Clock
) -> None:
    await issuer.endpoints()
    clock.now += 10
    await issuer.check(checking("first"))
    oidc_provider.behaviour.keys = [public("second", rsa_key("second"))]
    # all wait for the first one's discovery, then all find the old keys
    clock.now += REFRESH_AFTER - 5
    check = checking("second")
    found = await asyncio.gather(*(issuer.check(check) for _ in range(100)))
    assert found == [{"sub": "x"}] * 100
    assert fetches(oidc_provider) == 2


async def test_invented_keys_cause_one_fetch_per_cool_down(
    oidc_provider: OidcProvider, issuer: Issuer, clock: Clock
) -> None:
    await issuer.keys()
    for expected in (2, 3):
        for number in range(20):
            with pytest.raises(UnknownKeyError):
                await issuer.check(checking(f"invented-{number}", "first"))
        assert fetches(oidc_provider) == expected
        clock.now += COOL_DOWN + 1


async def test_tokens_are_verified_when_the_issuer_is_away_for_a_day(
    oidc_provider: OidcProvider, issuer: Issuer, clock: Clock
) -> None:
    await issuer.check(checking("first"))
    oidc_provider.behaviour.away = True
    clock.now += 24 * HOUR
    before = len(oidc_provider.requests)
    for _ in range(10):
        assert await issuer.check(checking("first"))
    # three tries each for addresses and keys, then nothing within the cool-down
    assert len(oidc_provider.requests) - before == 6


async def test_keys_expire_when_the_issuer_is_away_for_two_days(
    oidc_provider: OidcProvider, issuer: Issuer, clock: Clock
) -> None:
    await issuer.keys()
    oidc_provider.behaviour.away = True
    clock.now += EXPIRE_AFTER + 1
    codes = []
    for _ in range(3):  # also between two tries
        with pytest.raises(IAMUnavailable) as caught:
            await issuer.check(checking("first"))
        codes.append(caught.value.code)
    assert codes == ["iam-failed", "iam-keys-expired", "iam-keys-expired"]
    oidc_provider.behaviour.away = False
    clock.now += COOL_DOWN + 1
    assert await issuer.check(checking("first"))
    assert EXPIRE_AFTER == 48 * HOUR


async def test_old_keys_are_kept_when_the_issuer_publishes_none(
    oidc_provider: OidcProvider, issuer: Issuer, clock: Clock
) -> None:
    await issuer.keys()
    oidc_provider.behaviour.keys = []
    clock.now += REFRESH_AFTER + 1
    assert await issuer.check(checking("first"))


@pytest.mark.parametrize(
    ("published", "accepted"),
    [("", True), ("without", True), ("twice", False), ("upper", False), ("path", False)],
)
async def test_only_a_trailing_slash_may_differ_when_discovery_names_the_issuer(
    oidc_provider: OidcProvider, issuer: Issuer, published: str, accepted: bool
) -> None:
    url = oidc_provider.url
    forms = {
        "": url,
        "without": url[:-1],
        "twice": url + "/",
        "upper": url.upper(),
        "path": url + "x",
    }
    oidc_provider.behaviour.discovery = {"issuer": forms[published]}
    if accepted:
        assert (await issuer.endpoints()).keys == f"{url}jwk"
        return
    with pytest.raises(IAMUnavailable) as caught:
        await issuer.endpoints()
    assert caught.value.code == "iam-issuer"


async def test_known_addresses_and_keys_are_had_at_once_while_they_are_looked_up_again(
    oidc_provider: OidcProvider, clock: Clock
) -> None:
    http = Held(str(oidc_provider.layout.ca_bundle))
    issuer = Issuer(oidc_provider.url, http, clock=clock)
    known, keys = await issuer.endpoints(), await issuer.keys()
    clock.now += REFRESH_AFTER + 1
    http.gate.clear()
    looking = [asyncio.create_task(issuer.endpoints()), asyncio.create_task(issuer.keys())]
    await http.asked.wait()
    # else calls whose turn has come queue behind every request of a busy hub, and leave together
    async with asyncio.timeout(5):
        assert await issuer.endpoints() == known
        assert await issuer.keys() == keys
    http.gate.set()
    assert await asyncio.gather(*looking) == [known, keys]


class Held(IAMHttp):
    """Does not ask before a gate opens."""

    def __init__(self, ca_file: str) -> None:
        super().__init__(ca_file)
        self.asked, self.gate = asyncio.Event(), asyncio.Event()
        self.gate.set()

    async def get(self, url: str, **more: Any) -> Any:
        """Get a document."""
        if not self.gate.is_set():
            self.asked.set()
            await self.gate.wait()
        return await super().get(url, **more)


async def test_those_who_wait_fail_together_when_the_keys_cannot_be_fetched(
    oidc_provider: OidcProvider, issuer: Issuer
) -> None:
    await issuer.endpoints()
    oidc_provider.behaviour.away = True
    failures = await asyncio.gather(*(issuer.keys() for _ in range(20)), return_exceptions=True)
    assert {getattr(each, "code", None) for each in failures} == {"iam-failed"}
    # one fetch with its two repetitions, not one after another for each
    assert len(oidc_provider.requests) == 1 + 3
    oidc_provider.behaviour.away = False
    assert await issuer.keys()
