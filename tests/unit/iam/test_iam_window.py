"""Places for calls: what the identity provider sees in any second, wherever calls were held up."""

from __future__ import annotations

import asyncio
import random
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from af_hub.iam.window import PERSONS_LEAVE, Window, held
from testbed.herd import busiest_second
from testbed.virtual_time import VirtualTime

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

PLACES = 10


def virtually(scenario: Callable[[], Coroutine[Any, Any, list[float]]]) -> list[float]:
    """Run a scenario without waiting for its hours."""
    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        return runner.run(scenario())


async def call(window: Window, arrived: list[float], *, on_the_way: float, person: bool) -> None:
    """Reach the provider after a while, and read its answer after another."""
    with nullcontext() if person else held():
        async with window.place():
            await asyncio.sleep(on_the_way)
            arrived.append(asyncio.get_running_loop().time())
            await asyncio.sleep(on_the_way / 3)


def test_no_second_sees_more_calls_than_places_when_some_are_held_up_on_the_way() -> None:
    async def scenario() -> list[float]:
        window, arrived, rng = Window(PLACES), list[float](), random.Random(56)  # noqa: S311
        async with asyncio.TaskGroup() as group:
            for _ in range(400):
                # a name that is looked up, a handshake, a loop that is busy with other requests
                slow = rng.choice((0.0, 0.01, 0.3, 2.5))
                group.create_task(call(window, arrived, on_the_way=slow, person=False))
        return arrived

    arrived = virtually(scenario)
    assert len(arrived) == 400
    assert busiest_second(arrived) <= PLACES


def test_quick_calls_get_nearly_as_many_places_as_there_are() -> None:
    async def scenario() -> list[float]:
        window, arrived = Window(PLACES), list[float]()
        async with asyncio.TaskGroup() as group:
            for _ in range(100):
                group.create_task(call(window, arrived, on_the_way=0.02, person=False))
        return arrived

    assert virtually(scenario)[-1] < 11


def test_persons_do_not_wait_and_others_make_way_for_them_but_not_for_ever() -> None:
    async def scenario() -> list[float]:
        window, persons, others = Window(PLACES), list[float](), list[float]()
        async with asyncio.TaskGroup() as group:
            for _ in range(30):
                group.create_task(call(window, persons, on_the_way=5.0, person=True))
            await asyncio.sleep(0)
            for _ in range(PLACES):
                group.create_task(call(window, others, on_the_way=0.1, person=False))
        assert set(persons) == {5.0}
        return others

    others = virtually(scenario)
    assert len(others) == PLACES
    assert sum(moment < 1 for moment in others) == PERSONS_LEAVE


async def test_a_place_is_free_again_when_who_waited_for_it_is_gone() -> None:
    window, arrived = Window(1), list[float]()
    for _ in range(3):
        waiting = [
            asyncio.create_task(call(window, arrived, on_the_way=60, person=False))
            for _ in range(3)
        ]
        await asyncio.sleep(0.02)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    async with asyncio.timeout(10):
        await call(window, arrived, on_the_way=0, person=False)
    assert len(arrived) == 1
