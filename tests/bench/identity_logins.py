"""Logins as browsers make them: what they cost the hub's process, and how many there are a second."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING

from tornado.simple_httpclient import SimpleAsyncHTTPClient

from bench.identity_hubs import session_of

if TYPE_CHECKING:
    from tornado.httpclient import HTTPResponse

    from bench.identity_hubs import Side

AT_ONCE = 16
"""Browsers at the same time."""


@dataclass(frozen=True)
class Cost:
    """What logins have cost.

    Parameters
    ----------
    cpu
        Milliseconds of the hub's process for each.
    rate
        Logins per second.
    """

    cpu: float
    rate: float


def log_in_all(side: Side, names: list[str]) -> Cost:
    """Let these people log in, some at the same time."""
    return asyncio.run(_log_in_all(side, names))


async def _log_in_all(side: Side, names: list[str]) -> Cost:
    client = SimpleAsyncHTTPClient(force_instance=True, max_clients=2 * AT_ONCE)
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> None:
        async with turns:
            await _log_in(client, side, name)

    cpu, begin = side.cpu, time.perf_counter()
    await asyncio.gather(*map(one, names))
    seconds, cpu = time.perf_counter() - begin, side.cpu - cpu
    client.close()
    return Cost(1e3 * cpu / len(names), len(names) / seconds)


async def _log_in(client: SimpleAsyncHTTPClient, side: Side, name: str) -> None:
    """Go the way of a browser that the identity provider knows: three redirects."""
    hub = side.hub
    start = await _get(client, f"{hub.url}/hub/oauth_login?next=%2Fhub%2Fhome", {})
    session = {f"af-iam-session-{hub.iam.config.login_port}": session_of(name)}
    granted = await _get(client, start.headers["Location"], session)
    ended = await _get(client, granted.headers["Location"], cookies_of(start))
    assert ended.headers["Location"] == "/hub/home", ended.headers
    assert "jupyterhub-hub-login" in cookies_of(ended)


async def _get(client: SimpleAsyncHTTPClient, url: str, cookies: dict[str, str]) -> HTTPResponse:
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    answer = await client.fetch(
        url, headers={"Cookie": header}, follow_redirects=False, raise_error=False
    )
    assert answer.code in {302, 303}, (answer.code, answer.body)
    return answer


def cookies_of(answer: HTTPResponse) -> dict[str, str]:
    """Return the cookies that an answer sets."""
    found: dict[str, str] = {}
    for line in answer.headers.get_list("Set-Cookie"):
        # the attributes' names have capitals that SimpleCookie minds in some releases
        pair = line.partition(";")[0]
        found |= {name: morsel.coded_value for name, morsel in SimpleCookie(pair).items()}
    return found
