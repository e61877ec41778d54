"""How fast the token endpoint answers a server that asks again and again over one connection."""

from __future__ import annotations

import http.client
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from bench.identity_hubs import Side

ASKED = {
    "token": "/hub/api/af/token?audience=storage",
    "user": "/hub/api/user",
}
"""What is asked: a token, and what any JupyterHub answers about the owner of a token."""

ROUNDS, REQUESTS = 5, 200


@dataclass(frozen=True)
class Times:
    """Milliseconds of a warm answer, a number for each round.

    Parameters
    ----------
    median, slowest
        The 50th and the 99th percentile, as the caller sees it.
    cpu
        Of the hub's process, mean.
    """

    median: tuple[float, ...]
    slowest: tuple[float, ...]
    cpu: tuple[float, ...]


def answer_times(side: Side) -> dict[str, Times]:
    """Start a server and ask with its token; the two kinds of request take turns."""
    browser, _ = side.hub.log_in("alice")
    token = side.hub.start_server(browser, "alice")
    connection = http.client.HTTPConnection(str(urlsplit(side.hub.url).netloc), timeout=30)
    taken: dict[str, list[list[float]]] = {what: [] for what in ASKED}
    cpu: dict[str, list[float]] = {what: [] for what in ASKED}
    for _ in range(ROUNDS + 1):
        for what, path in ASKED.items():
            before = side.cpu
            taken[what].append([_ask(connection, path, token) for _ in range(REQUESTS)])
            cpu[what].append(1e3 * (side.cpu - before) / REQUESTS)
    connection.close()
    side.hub.stop_server(browser, "alice")
    # the first round is to warm up
    return {
        what: Times(
            median=tuple(statistics.median(each) for each in taken[what][1:]),
            slowest=tuple(statistics.quantiles(each, n=100)[98] for each in taken[what][1:]),
            cpu=tuple(cpu[what][1:]),
        )
        for what in ASKED
    }


def _ask(connection: http.client.HTTPConnection, path: str, token: str) -> float:
    begin = time.perf_counter()
    connection.request("GET", path, headers={"Authorization": f"token {token}"})
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 200, body
    return 1e3 * (time.perf_counter() - begin)
