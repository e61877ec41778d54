"""A hub answers others while very many servers are asked for at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp

from bench.loop_meter import MeterReader, metered
from testbed.hub_config import TOKEN
from testbed.profile_hub import running_hub

if TYPE_CHECKING:
    from pathlib import Path

MANY = 600
PROMISE = 0.5
"""Seconds of processor time for which the hub may answer nobody."""


async def test_loop_is_never_held_when_hundreds_ask_for_a_server_at_once(tmp_path: Path) -> None:
    """They ask for what there is not: JupyterHub does all it does before a start, and nothing runs."""
    meter = MeterReader(tmp_path / "meter.json")
    more = metered(tmp_path / "meter.json") + "c.JupyterHub.concurrent_spawn_limit = 0\n"
    async with running_hub(tmp_path, labs=False, more=more) as hub:
        users = [f"u{number}" for number in range(MANY)]
        assert (await hub.api("POST", "/users", {"usernames": users}))[0] == 201
        await meter.begin()
        connector, headers = aiohttp.TCPConnector(limit=0), {"Authorization": f"token {TOKEN}"}
        async with aiohttp.ClientSession(connector=connector, headers=headers) as http:

            async def ask(user: str) -> int:
                body = {"user_options": {"profile": "none"}, "profile": "none"}
                url = f"{hub.url}/hub/api/users/{user}/server"
                async with http.post(url, json=body) as answer:
                    return answer.status

            statuses = await asyncio.gather(*(ask(user) for user in users))
        await asyncio.sleep(0.5)  # the meter tells five times a second
        longest = meter.read()["longest"]
    print(f"longest round: {1e3 * longest:.0f} ms of processor time")
    # the last ones are told to wait: their turn comes after ten seconds
    assert set(statuses) <= {202, 400}
    assert longest < 3 * PROMISE
