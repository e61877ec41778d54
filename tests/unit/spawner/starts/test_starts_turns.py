"""Work is done one piece in a round, in the order of asking; new requests come first."""

from __future__ import annotations

import asyncio

from af_hub.spawner.starts.turns import Turns


async def test_others_go_on_between_any_two_pieces() -> None:
    turns, done = Turns(), list[str]()

    async def work(name: str) -> None:
        await turns.take()
        done.append(name)

    async def other() -> None:
        while len([name for name in done if name != "other"]) < 50:
            done.append("other")
            await asyncio.sleep(0)

    await asyncio.gather(*(work(str(number)) for number in range(50)), other())
    pieces = "".join("." if name == "other" else "x" for name in done)
    assert "xx" not in pieces
    assert [name for name in done if name != "other"] == [str(number) for number in range(50)]


async def test_requests_come_before_what_has_begun() -> None:
    turns, done = Turns(), list[str]()

    async def work(name: str, *, first: bool) -> None:
        await turns.take(first=first)
        done.append(name)

    await asyncio.gather(
        *(work(f"begun {number}", first=False) for number in range(3)),
        *(work(f"new {number}", first=True) for number in range(3)),
    )
    assert done == ["new 0", "new 1", "new 2", "begun 0", "begun 1", "begun 2"]


async def test_who_gave_up_holds_up_nobody() -> None:
    turns, done = Turns(), list[int]()

    async def work(number: int) -> None:
        await turns.take()
        done.append(number)

    tasks = [asyncio.create_task(work(number)) for number in range(5)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    tasks[3].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert set(done) >= {1, 2, 4}
    await asyncio.wait_for(turns.take(), 1)
