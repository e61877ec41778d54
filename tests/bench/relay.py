"""How long a new token takes from the gateway into the files of all processes of a cluster.

The real channel of the gateway talks to the real scheduler of a cluster with two workers, in the
testbed of `testbed.gateway`. Each token goes over a connection of its own: a real one is sent every
half hour.
"""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
from dask_gateway_server.models import Cluster, ClusterStatus

from af_hub.compute.channel import put_token, ssl_context
from af_hub.secret import Secret
from bench.figure import Figure
from testbed.gateway import running
from testbed.token_client import made, token_files

if TYPE_CHECKING:
    from testbed.gateway import Testbed

WORKERS = 2
ROUNDS, TOKENS = 5, 200
LENGTH = 1400
"""Characters of a token: those of the development IAM have about as many."""


def measure() -> list[Figure]:
    """Send tokens one after the other; requests that do nothing are sent in turn with them."""
    with (
        tempfile.TemporaryDirectory(prefix="af-bench-") as folder,
        running(Path(folder)) as bed,
        made(bed, "alice", "local", WORKERS) as cluster,
    ):
        one_round(bed, cluster, TOKENS)  # warm
        rounds = [one_round(bed, cluster, TOKENS) for _ in range(ROUNDS)]
    p99 = tuple(_p99(sent) for sent, _ in rounds)
    median = statistics.median(each for sent, _ in rounds for each in sent)
    nothing = statistics.median(_p99(asked) for _, asked in rounds)
    return [
        Figure(
            f"token from the gateway into the files of scheduler and {WORKERS} workers, p99",
            p99,
            "ms",
            "≤ 50 ms",
            lambda value: value <= 50.0,
            f"a request over the same channel that does nothing {nothing:.3g} ms",
            f"median {median:.3g} ms; {TOKENS} tokens a round, a TLS connection each",
        )
    ]


def one_round(bed: Testbed, cluster: str, tokens: int) -> tuple[list[float], list[float]]:
    """Return the milliseconds of each token, and of each request that does nothing."""
    return asyncio.run(_round(bed, _described(bed, cluster), tokens))


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


async def _round(bed: Testbed, cluster: Cluster, tokens: int) -> tuple[list[float], list[float]]:
    sent, asked = [], []
    health = f"{cluster.api_address}/api/health"
    context = ssl_context(cluster.tls_cert, cluster.tls_key)
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session:
        for number in range(tokens):
            token = f"{number}-{time.time()}-".ljust(LENGTH, "x")
            begin = time.perf_counter()
            await put_token(session, cluster, Secret(token))
            sent.append(1e3 * (time.perf_counter() - begin))
            files = token_files(bed, cluster.name)
            assert list(files.values()) == [token] * (WORKERS + 1)
            begin = time.perf_counter()
            async with session.get(health, ssl=context) as answer:
                assert answer.status == 200
            asked.append(1e3 * (time.perf_counter() - begin))
    return sent, asked


def _described(bed: Testbed, name: str) -> Cluster:
    """Return a running cluster as the gateway knows it."""
    folder = bed.folder(name)
    with closing(sqlite3.connect(bed.wiring.layout.gateway / "gateway.sqlite")) as database:
        scheduler, api = database.execute(
            "select scheduler_address, api_address from clusters where name = ?", (name,)
        ).fetchone()
    return Cluster(
        name=name,
        username="alice",
        token=(folder / "gateway-token").read_text(),
        options={},
        config={},
        status=ClusterStatus.RUNNING,
        scheduler_address=scheduler,
        api_address=api,
        tls_cert=(folder / "tls.crt").read_bytes(),
        tls_key=(folder / "tls.key").read_bytes(),
    )
