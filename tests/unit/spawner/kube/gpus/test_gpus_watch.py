"""The right to read nodes and pods that is taken away and given back while the hub runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

import pytest
from kubernetes_asyncio.client import ApiClient, Configuration, CoreV1Api

from af_hub.spawner.kube.gpus.count import Place
from af_hub.spawner.kube.gpus.pool import Pool
from af_hub.spawner.kube.gpus.watch import ASK_AGAIN, GpuWatch
from testbed.gpu_objects import GPU, node, pod
from testbed.listing_server import Server, serving
from testbed.virtual_time import VirtualTime

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

LOG = logging.getLogger("af-gpus-test")
WITHIN = 10
"""Seconds after the end of a watch within which the hub knows that it may not read any more."""


class Watched:
    """A cluster of one node with four devices, one of them in use, and what the hub knows of it."""

    def __init__(self) -> None:
        self.nodes, self.pods, self.pool = Server(), Server(), Pool()
        self.nodes.pods["n1"] = node(gpus=4)
        self.pods.pods["p"] = pod(1)

    @contextlib.asynccontextmanager
    async def watch(self) -> AsyncIterator[GpuWatch]:
        """Watch for as long as the block lasts."""
        lists = {"/api/v1/nodes": self.nodes, "/api/v1/pods": self.pods}
        async with serving(lists) as server, ApiClient(Configuration(host=server.url)) as client:
            watch = GpuWatch(CoreV1Api(client), self.pool, LOG)
            try:
                yield watch
            finally:
                await watch.close()

    def answer(self, *statuses: int, only: str = "nodes pods") -> None:
        """End the watches, and answer what comes next with these."""
        for each in (getattr(self, name) for name in only.split()):
            each.statuses += statuses
            each.end_watches()

    @property
    def stock(self) -> tuple[int, int]:
        """How many devices are free, of how many."""
        stock = self.pool.stock(Place(GPU))
        return stock.free, stock.total

    async def become(self, condition: Callable[[], bool], patience: float) -> None:
        """Wait until a condition holds."""
        async with asyncio.timeout(patience):
            while not condition():  # noqa: ASYNC110  the pool tells nobody
                await asyncio.sleep(0.1)


def in_virtual_time(story: Callable[[Watched], Coroutine[Any, Any, None]]) -> None:
    """Run a story whose waiting takes no time."""
    with asyncio.Runner(loop_factory=VirtualTime) as runner:

        async def run() -> None:
            await story(Watched())

        runner.run(run())


@pytest.mark.parametrize("what", ["nodes", "pods", "nodes pods"])
def test_count_is_unknown_when_the_right_to_read_is_withdrawn_and_comes_back_with_it(
    what: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, LOG.name)

    def told() -> list[str]:
        return [each.getMessage() for each in caplog.records if each.name == LOG.name]

    async def story(cluster: Watched) -> None:
        async with cluster.watch() as watch:
            assert await watch.ready(5)
            assert cluster.stock == (3, 4)
            waiting = asyncio.Event()
            place = Place(GPU)
            cluster.pool.ask("me/", "me", place, 4, mark="m", when_served=waiting.set)

            cluster.answer(*[403] * 10_000, only=what)
            await cluster.become(lambda: watch.denied, WITHIN)
            assert cluster.pool.models([place]) is None
            assert not await watch.ready(0)
            # now the cluster decides
            assert waiting.is_set()
            cluster.pool.release("me/")
            await asyncio.sleep(2 * ASK_AGAIN)
            assert told() == ["GPUs are not counted: nodes and pods cannot be read (Forbidden)"]

            cluster.nodes.pods["n2"] = node("n2", gpus=2)
            cluster.pods.pods.clear()
            for each in (cluster.nodes, cluster.pods):
                each.statuses.clear()
            await cluster.become(lambda: cluster.pool.counted, ASK_AGAIN + WITHIN)
            assert not watch.denied
            assert cluster.stock == (6, 6)
            assert told()[1:] == ["GPUs are counted: nodes and pods can be read"]

    in_virtual_time(story)


@pytest.mark.parametrize("said", [[403] * 4, [503] * 3 + [403] * 20])
def test_count_is_kept_when_a_server_that_has_just_started_says_no(said: list[int]) -> None:
    """It knows no roles yet; if nobody counted meanwhile, all who wait for a device would start."""

    async def story(cluster: Watched) -> None:
        async with cluster.watch() as watch:
            assert await watch.ready(5)
            served = asyncio.Event()
            cluster.pool.ask("me/", "me", Place(GPU), 4, mark="m", when_served=served.set)
            cluster.answer(*said)
            while cluster.nodes.statuses or cluster.pods.statuses:
                assert cluster.pool.counted
                await asyncio.sleep(0.1)
            cluster.pods.pods.clear()
            # the watch that has begun meanwhile says nothing of it; the next reading does
            cluster.answer(410)
            await cluster.become(served.is_set, WITHIN)
            assert cluster.stock == (0, 4)
            assert not watch.denied

    in_virtual_time(story)


def test_count_begins_soon_when_the_server_starts_with_the_hub() -> None:
    async def story(cluster: Watched) -> None:
        async with cluster.watch() as watch:
            cluster.answer(*[503] * 3, *[403] * 3)
            assert await watch.ready(ASK_AGAIN / 2)
            assert cluster.stock == (3, 4)

    in_virtual_time(story)


def test_nothing_is_counted_when_the_hub_never_had_the_right() -> None:
    async def story(cluster: Watched) -> None:
        async with cluster.watch() as watch:
            cluster.answer(*[403] * 10_000)
            assert not await watch.ready(1)
            assert watch.denied

    in_virtual_time(story)
