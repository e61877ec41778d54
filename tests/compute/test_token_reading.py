"""Workers of a cluster read protected files while their tokens come and go.

Everything is real: the development IAM, the hub with its broker, Dask Gateway, the XCache. ``make
soak`` runs three minutes of it, in good times and bad.
"""

from __future__ import annotations

import os
import re
import time
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from af_hub.embedded.proxy import proxy_folder
from testbed.cluster_chain import ClusterChain, ClusterReading, cluster_chain
from testbed.reading import connections, fill
from testbed.require import require
from testbed.token_client import made

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FOLDER = "/cms/workers"
WORKERS = 2
LOGIN = re.compile(r" (\w+)\.(\d+):\d+@\S+ .*login as ")
"""A line of the cache's log: the name of a connection, and the process that made it."""


def generations(log: str) -> dict[int, int]:
    """Return how many names of connections each client process has used."""
    names: dict[int, set[str]] = defaultdict(set)
    for found in LOGIN.finditer(log):
        names[int(found[2])].add(found[1])
    return {pid: len(each) for pid, each in names.items()}


@pytest.fixture(scope="module", params=[20 if os.environ.get("AF_SOAK") else 8])
def life(request: pytest.FixtureRequest) -> int:
    """Give the seconds that tokens live."""
    seconds: int = request.param
    return seconds


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory, life: int) -> Iterator[ClusterChain]:
    """Start the chain with a folder to read."""
    require("proxy", proxy_folder().exists(), "configurable-http-proxy is not set up: make setup")
    with cluster_chain(tmp_path_factory.mktemp("chain"), life) as running:
        fill(running.stack, FOLDER)
        yield running


def good_times(_: ClusterChain) -> None:
    """Let time go by."""
    time.sleep(180)


def bad_times(chain: ClusterChain) -> None:
    """Kill the gateway three times and the hub once, while tokens are renewed."""
    for moment in (15, 17, 19):
        time.sleep(moment)
        chain.bed.kill("gateway")
        time.sleep(2)  # the outage
        chain.bed.restart("gateway")
    time.sleep(20)
    chain.hub.stop()
    time.sleep(3)  # the outage
    chain.hub.start()
    time.sleep(90)


def _read(
    chain: ClusterChain, folder: Path, times: Callable[[ClusterChain], None]
) -> dict[int, int]:
    """Let workers read for a time; return how many tokens each has used."""
    before = len(chain.stack.log("xcache"))
    with made(chain.bed, "alice", "local", WORKERS) as cluster:
        reading = ClusterReading(chain, cluster, folder, "/store" + FOLDER)
        with reading.running():
            times(chain)
            results = reading.results()
    log = chain.stack.log("xcache")[before:]
    failures = [failure for each in results for failure in each["failures"]]
    operations = sum(each["operations"] for each in results)
    most, used = connections(log), generations(log)
    print(f"{operations} operations, {len(failures)} failed, {most}, {used}")
    assert failures == []
    assert operations > 0
    pids = {each["pid"] for each in results}
    assert len(pids) == WORKERS
    assert max(most[pid] for pid in pids) <= 2, most
    return {pid: used[pid] for pid in pids}


@pytest.mark.skipif(bool(os.environ.get("AF_SOAK")), reason="`make soak` has the long form")
def test_no_read_fails_and_each_token_has_its_connection_when_tokens_are_renewed(
    chain: ClusterChain, tmp_path: Path
) -> None:
    used = _read(chain, tmp_path, lambda _: time.sleep(15))
    # renewed after 3.2 to 4 s
    assert min(used.values()) >= 3, used


@pytest.mark.skipif(not os.environ.get("AF_SOAK"), reason="runs by `make soak`")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("times", [good_times, bad_times])
def test_no_read_fails_while_tokens_of_20_seconds_come_and_go(
    chain: ClusterChain, tmp_path: Path, life: int, times: Callable[[ClusterChain], None]
) -> None:
    used = _read(chain, tmp_path, times)
    assert min(used.values()) > 0.5 * 180 / life, used
