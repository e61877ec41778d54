"""Five hundred users start at once: what it costs the hub, and how long it answers nobody else."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.figure import Figure
from bench.kube_hubs import ask_all, metered_hub
from testbed.kube.fixtures import borrowed_cluster
from testbed.kube.settings import from_environment

if TYPE_CHECKING:
    from bench.loop_meter import MeterReader
    from testbed.kube.cluster import Cluster
    from testbed.kube_hub import KubeHub

STARTS = int(os.environ.get("AF_STARTS", "500"))
RUNS = int(os.environ.get("AF_RUNS", "2"))

BUSY = 0.25
"""Part of a core; a hub at rest that looks after 500 servers and answers our questions uses less."""


@dataclass(frozen=True)
class Burst:
    """What one burst took."""

    seconds: float
    cpu: float
    stall: float
    slowest: float


def measure() -> list[Figure]:
    """Measure ours and plain KubeSpawner in turn."""
    ours, plain, asked, plain_asked = [], [], [], []
    with borrowed_cluster(from_environment()) as kube:
        for _ in range(RUNS):
            ours.append(asyncio.run(_burst(kube, "ours")))
            plain.append(asyncio.run(_burst(kube, "plain")))
            asked.append(asyncio.run(_burst(kube, "ours", asking=True)))
            plain_asked.append(asyncio.run(_burst(kube, "plain", asking=True)))
    pairs = list(zip(ours, plain, strict=True))
    stalls = [1e3 * one.stall for one in (*plain, *plain_asked)]
    slowest, plain_slowest = (max(one.slowest for one in some) for some in (asked, plain_asked))
    return [
        Figure(
            f"hub's processor time for a start, of plain KubeSpawner's, {STARTS} at once",
            tuple(100 * a.cpu / b.cpu for a, b in pairs),
            "%",
            "≤ 110 %",
            lambda value: value <= 110,
            f"plain {min(1e3 * one.cpu / STARTS for one in plain):.3g} ms",
            f"ours {min(1e3 * one.cpu / STARTS for one in ours):.3g} ms, JupyterHub's part included",
        ),
        Figure(
            "… starts that are ready",
            tuple(STARTS / one.seconds for one in ours),
            "/s",
            "",
            lambda _: True,
            f"plain {min(STARTS / one.seconds for one in plain):.3g} /s",
        ),
        Figure(
            "… longest time that the hub's loop answers nobody",
            tuple(1e3 * one.stall for one in (*ours, *asked)),
            "ms",
            "< 500 ms",
            lambda value: value < 500,
            f"plain {min(stalls):.0f} to {max(stalls):.0f} ms",
            f"processor time of a round; slowest answer of the API {slowest:.2f} s, "
            f"plain {plain_slowest:.2f} s",
        ),
    ]


async def _burst(kube: Cluster, variant: str, *, asking: bool = False) -> Burst:
    """Let all start; somebody may ask the API meanwhile, which costs a hub that answers more."""
    async with metered_hub(kube, variant, running=True) as (hub, meter):
        users = [f"u{number}" for number in range(STARTS)]
        await hub.add_users(users, "/cms")
        # the watches begin with the first
        await hub.add_users(["first"], "/cms")
        await hub.ask("first", profile="small")
        await hub.until_ready("first")
        before = await meter.begin()
        begin = time.perf_counter()
        answers = [0.0]
        questions = asyncio.create_task(_slowest(hub, answers)) if asking else None
        await ask_all(hub, users, {"profile": "small"})
        end, after = await _at_rest(hub, meter)
        if questions is not None:
            questions.cancel()
        seconds, cpu = end - begin, after["cpu"] - before["cpu"]
        return Burst(seconds, cpu, after["longest"], max(answers))


async def _slowest(hub: KubeHub, seconds: list[float]) -> None:
    """Ask the hub for its version all the time."""
    while True:
        begin = time.perf_counter()
        await hub.api("GET", "/")
        seconds.append(time.perf_counter() - begin)
        await asyncio.sleep(0.1)


async def _at_rest(hub: KubeHub, meter: MeterReader) -> tuple[float, dict[str, float]]:
    """Wait until the hub has started all; return when that was, and what the meter told then.

    The hub is asked only then: a list of all costs it 70 ms, and one that answers while it starts
    servers would be asked more often than one that does not.
    """
    async with asyncio.timeout(600):
        while len(await hub.pods()) <= STARTS:  # noqa: ASYNC110  they tell nobody
            await asyncio.sleep(1)
        while True:
            begin, before = time.perf_counter(), meter.read()
            await asyncio.sleep(1)
            if meter.read()["cpu"] - before["cpu"] > BUSY:
                continue
            servers = await hub.servers()
            if len(servers) > STARTS and all(one["ready"] for one in servers.values()):
                return begin, before
