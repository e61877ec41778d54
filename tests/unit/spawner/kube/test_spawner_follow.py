"""Keeping up with a list: silence, refusals, changes that are too old, hours without an answer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

import pytest
from kubernetes_asyncio.client import ApiClient, Configuration, CoreV1Api

from af_hub.spawner.kube import follow
from af_hub.spawner.kube.events import EventBook
from af_hub.spawner.kube.follow import Follower
from testbed.listing_server import change, pod, serving
from testbed.virtual_time import VirtualTime

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from testbed.listing_server import Server

LOG = logging.getLogger(__name__)


class Names:
    """Keeps names only."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.changed = asyncio.Event()

    def replace(self, objects: Iterable[dict[str, Any]]) -> None:
        """Take all."""
        self.names = {one["metadata"]["name"] for one in objects}
        self.changed.set()

    def put(self, one: dict[str, Any]) -> None:
        """Take one."""
        self.names.add(one["metadata"]["name"])
        self.changed.set()

    def remove(self, one: dict[str, Any]) -> None:
        """Forget one."""
        self.names.discard(one["metadata"]["name"])
        self.changed.set()

    async def become(self, *names: str) -> None:
        """Wait until these are known."""
        async with asyncio.timeout(30):
            while self.names != set(names):
                await self.changed.wait()
                self.changed.clear()


@contextlib.asynccontextmanager
async def following(
    server: Server, copy: Any, *, retry_after: float = 0.01, **more: Any
) -> AsyncIterator[Follower]:
    """Read, and follow for as long as the block lasts."""
    async with ApiClient(Configuration(host=server.url)) as client:
        api = CoreV1Api(client)

        async def request(**arguments: Any) -> Any:
            return await api.list_namespaced_pod("labs", **arguments)

        follower = Follower(request, copy, log=LOG, what="pods", retry_after=retry_after, **more)
        await follower.read()
        task = asyncio.create_task(follower.follow())
        try:
            yield follower
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_changes_are_taken_without_reading_everything_again() -> None:
    async with serving() as server:
        server.put("a")
        names = Names()
        b, gone = pod("b", 5), pod("a", 6)
        server.watches += [change("ADDED", b), change("DELETED", gone), ""]
        async with following(server, names):
            await names.become("b")
        assert server.reads == 1


async def test_large_lists_are_read_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "PAGE", 2)
    async with serving() as server:
        for name in "abcde":
            server.put(name)
        names = Names()
        async with following(server, names):
            assert names.names == set("abcde")
        assert server.reads == 3


async def test_line_may_be_of_any_length() -> None:
    large = pod("large", 7)
    large["spec"] = {"text": "x" * 1_000_000}
    async with serving() as server:
        names = Names()
        server.watches.append(change("ADDED", large))
        async with following(server, names):
            await names.become("large")


@pytest.mark.parametrize(
    "said",
    [
        change("ERROR", {"code": 410, "reason": "Expired"}),
        change("ERROR", {"code": 500, "reason": "InternalError"}),
        "<html>no server</html>\n",
        '{"type": "ADDED"}\n',
        '{"type": "ADDED", "object": {"meta',
        "null\n",
    ],
)
async def test_everything_is_read_again_when_the_watch_says_nonsense(said: str) -> None:
    """Or that it no longer knows the changes since (410): whatever happened meanwhile is seen."""
    async with serving() as server:
        server.put("a")
        names = Names()
        async with following(server, names):
            del server.pods["a"]
            server.put("b")
            server.watches.append(said)
            server.end_watches()
            # what is no nonsense as a whole ends without a word
            server.watches.append(change("ERROR", {"code": 410, "reason": "Expired"}))
            await names.become("b")


@pytest.mark.parametrize("status", [410, 429, 500, 503, 403])
async def test_watch_is_taken_up_again_when_the_server_refused_it(status: int) -> None:
    async with serving() as server:
        server.put("a")
        names = Names()
        async with following(server, names):
            del server.pods["a"]
            server.put("b")
            server.statuses += [status] * 3
            server.end_watches()
            await names.become("b")


async def test_silent_watch_is_left_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection lives, but nothing comes any more: as behind a firewall that forgot it."""
    monkeypatch.setattr(follow, "SILENCE", 0.3)
    async with serving() as server:
        server.put("a")
        names = Names()
        async with following(server, names):
            server.put("b")
            await names.become("a", "b")


def in_virtual_time(story: Callable[[], Any]) -> None:
    """Run a story whose waiting takes no time."""
    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        runner.run(story())


def test_list_is_right_within_five_seconds_when_the_server_was_away_for_ten_minutes() -> None:
    """KubeSpawner gives up after 51 s, for ever."""

    async def story() -> None:
        loop = asyncio.get_running_loop()
        async with serving() as server:
            server.put("a")
            names = Names()
            async with following(server, names, retry_after=1.0):
                server.statuses += [503] * 10_000
                server.end_watches()
                begin = loop.time()
                while loop.time() < begin + 600:  # noqa: ASYNC110  time only passes by waiting
                    await asyncio.sleep(1)
                # it asked all the time, once a second
                assert 300 < server.asked < 700
                del server.pods["a"]
                server.put("b")
                server.statuses.clear()
                back = loop.time()
                await names.become("b")
                assert loop.time() - back <= 5

    in_virtual_time(story)


async def test_only_what_comes_from_now_on_is_kept_of_events() -> None:
    book = EventBook()
    book.expect("labs/jupyter-alice")
    async with serving() as server:
        for number in range(30):
            server.put(f"e{number}")
        event = pod("e99", 99) | {
            "involvedObject": {"namespace": "labs", "name": "jupyter-alice"},
            "reason": "Pulling",
            "message": 'Pulling image "lab:1"',
        }
        event["metadata"]["uid"] = "99"
        other = {**event, "involvedObject": {"namespace": "labs", "name": "somebody-else"}}
        server.watches.append(change("ADDED", other) + change("ADDED", event))
        async with following(server, book, only_new=True), asyncio.timeout(10):
            while not book.of("labs/jupyter-alice"):  # noqa: ASYNC110  it tells nobody
                await asyncio.sleep(0.01)
        (told,) = book.of("labs/jupyter-alice")
        assert told.reason == "Pulling"
        assert book.of("labs/somebody-else") == ()
        # of the thousands that there are one was read, for where to go on from
        assert server.reads == 1
