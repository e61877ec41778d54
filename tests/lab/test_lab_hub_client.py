"""The hub client against a hub that fails on demand."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from af_labextension.errors import LabError, NotAnswering, Refused
from af_labextension.hub import MAX_ANSWER, HubAddress, HubClient
from af_labextension.secret import Secret
from af_labextension.tokens.model import Wanted
from testbed.lab_hub import SERVER_TOKEN, LabHub, lab_config
from testbed.webdav import GOOD

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Time:
    """A clock that runs only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.naps: list[float] = []
        self.napped = asyncio.Event()

    def clock(self) -> float:
        """Return the time."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let the time run."""
        self.naps.append(seconds)
        self.napped.set()
        await asyncio.sleep(0.02)
        self.now += seconds


@pytest.fixture
def moment() -> Time:
    """Return a clock of our own."""
    return Time()


@pytest_asyncio.fixture
async def client(lab_hub: LabHub, moment: Time) -> AsyncIterator[HubClient]:
    """Return a client of the hub."""
    address = HubAddress(f"{lab_hub.api_url}/af", Secret(SERVER_TOKEN))
    client = HubClient(address, timeout=0.5, clock=moment.clock, sleep=moment.sleep)
    yield client
    client.close()


async def test_a_token_comes_when_the_hub_works(client: HubClient, lab_hub: LabHub) -> None:
    token = await client.token(Wanted("storage"))
    assert token.value == Secret(GOOD)
    assert token.expires_at == 1000.0 + 3600.0
    assert lab_hub.headers[0]["Authorization"] == f"token {SERVER_TOKEN}"


async def test_a_blink_is_bridged(client: HubClient, lab_hub: LabHub, moment: Time) -> None:
    lab_hub.fault = 503
    asking = asyncio.create_task(client.token(Wanted("storage")))
    async with asyncio.timeout(30):
        await moment.napped.wait()
    lab_hub.fault = None
    assert (await asking).value == Secret(GOOD)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (500, "hub-unreachable"),
        (503, "hub-unreachable"),
        (429, "hub-unreachable"),
        (b"<html>login</html>", "hub-garbage"),
        (b"[1, 2]", "hub-garbage"),
        (b"", "hub-garbage"),
        ({"status": "503", "code": "iam-unreachable", "message": "IAM."}, "iam-unreachable"),
        ("hang", "hub-unreachable"),
    ],
)
async def test_silence_is_named_after_a_few_attempts(
    client: HubClient, lab_hub: LabHub, moment: Time, fault: object, code: str
) -> None:
    lab_hub.fault = fault  # type: ignore[assignment]
    with pytest.raises(NotAnswering) as error:
        await client.token(Wanted("storage"))
    assert error.value.code == code
    assert len(lab_hub.requests) == 3
    assert moment.naps[0] < moment.naps[1] * 1.5
    assert sum(moment.naps) < 5


@pytest.mark.parametrize(
    ("fault", "code", "status"),
    [
        (401, "hub-refused", 403),
        (403, "hub-refused", 403),
        (404, "hub-refused", 404),
        (302, "hub-refused", 502),
        ({"status": "401", "code": "session-over", "message": "Log in."}, "session-over", 403),
        ({"status": "403", "code": "<b>bad</b>", "message": "x" * 9999}, "hub-refused", 403),
    ],
)
async def test_a_no_is_final(
    client: HubClient, lab_hub: LabHub, fault: object, code: str, status: int
) -> None:
    lab_hub.fault = fault  # type: ignore[assignment]
    with pytest.raises(Refused) as error:
        await client.token(Wanted("storage"))
    assert (error.value.code, error.value.status) == (code, status)
    assert len(error.value.message) <= 500
    assert len(lab_hub.requests) == 1


async def test_an_oversized_answer_counts_as_silence(client: HubClient, lab_hub: LabHub) -> None:
    lab_hub.fault = b"x" * (MAX_ANSWER + 1)
    with pytest.raises(NotAnswering) as error:
        await client.token(Wanted("storage"))
    assert error.value.code == "hub-unreachable"


@pytest.mark.parametrize("audience", ["", "a b", "../x", "a" * 65, "a&b", "a\n"])
async def test_an_audience_is_refused_without_asking_when_it_is_no_name(
    client: HubClient, lab_hub: LabHub, audience: str
) -> None:
    with pytest.raises(Refused):
        await client.token(Wanted(audience))
    assert not lab_hub.requests


async def test_the_server_token_is_in_no_error(client: HubClient, lab_hub: LabHub) -> None:
    for fault in (500, 403, b"garbage", "hang"):
        lab_hub.fault = fault
        with pytest.raises(LabError) as error:
            await client.lab_config()
        shown = f"{error.value!r} {error.value} {error.value.detail} {error.value.as_json()}"
        assert SERVER_TOKEN not in shown
    assert SERVER_TOKEN not in repr(client.address)


async def test_the_configuration_is_kept_and_renewed(
    client: HubClient, lab_hub: LabHub, moment: Time
) -> None:
    await client.lab_config()
    lab_hub.config = lab_config(about={"name": "New"})
    moment.now += 30
    assert (await client.lab_config())["about"]["name"] == "Demo"
    assert len(lab_hub.requests) == 1
    moment.now += 31
    assert (await client.lab_config())["about"]["name"] == "New"


async def test_fresh_configuration_is_fetched_when_it_is_asked_for(
    client: HubClient, lab_hub: LabHub
) -> None:
    await client.lab_config()
    lab_hub.config = lab_config(about={"name": "New"})
    assert (await client.lab_config(fresh=True))["about"]["name"] == "New"


async def test_the_known_configuration_serves_on_when_the_hub_restarts(
    client: HubClient, lab_hub: LabHub, moment: Time
) -> None:
    await client.lab_config()
    await lab_hub.stop()
    moment.now += 61
    assert (await client.lab_config())["about"]["name"] == "Demo"
    lab_hub.config = lab_config(about={"name": "After the restart"})
    await lab_hub.start()
    moment.now += 61
    assert (await client.lab_config())["about"]["name"] == "After the restart"


async def test_nobody_waits_for_a_slow_hub_when_a_configuration_is_known(
    lab_hub: LabHub, moment: Time
) -> None:
    address = HubAddress(f"{lab_hub.api_url}/af", Secret(SERVER_TOKEN))
    client = HubClient(address, timeout=60, clock=moment.clock, sleep=moment.sleep)
    await client.lab_config()
    lab_hub.fault = "hang"
    moment.now += 61
    async with asyncio.timeout(30):
        assert (await client.lab_config())["about"]["name"] == "Demo"
    client.close()


async def test_one_request_serves_all_when_many_want_the_configuration(
    client: HubClient, lab_hub: LabHub
) -> None:
    await asyncio.gather(*(client.lab_config() for _ in range(20)))
    assert len(lab_hub.requests) == 1


async def test_known_configuration_is_enough_in_the_background(
    client: HubClient, lab_hub: LabHub, moment: Time
) -> None:
    first = await client.known_config()
    moment.now += 8 * 3600
    assert await client.known_config() is first
    assert lab_hub.count("/lab") == 1
    lab_hub.config = lab_config(storage=[])
    newer = await client.lab_config()
    assert await client.known_config() is newer
    assert lab_hub.count("/lab") == 2
