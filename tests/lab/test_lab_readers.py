"""Readers in a plain process and in Dask workers go on when the token is another one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from testbed.reading import WORKERS, Reading, connections, fill

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.xrootd import Stack

LIFE = 8
"""Seconds for which the tokens say they live; the Lab renews after three quarters."""

GENERATIONS = 3


def token(stack: Stack, folders: list[str]) -> str:
    """Return a token for these folders and no other."""
    now = int(time.time())
    scope = " ".join(f"storage.read:/store{folder}" for folder in folders)
    return stack.token(scope, iat=now, exp=now + LIFE)


@pytest.mark.timeout(180)
def test_every_operation_succeeds_on_two_connections_when_tokens_are_renewed(
    xrootd_stack: Stack, tmp_path: Path
) -> None:
    # XRootD 5.5 takes an expired token for another minute. That each token opens one folder more
    # shows at once whether it is used
    folders = [f"/cms/readers/{number}" for number in range(GENERATIONS)]
    for folder in folders:
        fill(xrootd_stack, folder)
    before = len(xrootd_stack.log("xcache"))
    reading = Reading(xrootd_stack, tmp_path, {})
    reading.renew(token(xrootd_stack, folders[:1]))
    reading.look_at("/store" + folders[0])
    with reading.running():
        for number in range(GENERATIONS):
            reading.renew(token(xrootd_stack, folders[: number + 1]))
            reading.look_at("/store" + folders[number])
            time.sleep(0.75 * LIFE)  # what is tested is the pace
        results = reading.results()
    assert [failure for each in results for failure in each["failures"]] == []
    assert len({each["pid"] for each in results}) == WORKERS + 1
    assert all(each["folders"] == ["/store" + name for name in folders] for each in results)
    most = connections(xrootd_stack.log("xcache")[before:])
    assert {each["pid"] for each in results} <= most.keys()
    assert max(most.values()) <= 2, most
