"""The keeper of the token file, on an injected clock."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from af_labextension.errors import LabError, NotAnswering, Refused
from af_labextension.secret import Secret
from af_labextension.tokens.bearer_file import BearerFile
from af_labextension.tokens.keeper import TokenKeeper
from af_labextension.tokens.model import Token, Wanted
from af_labextension.tokens.provider import CachingTokenProvider

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class World:
    """A hub that issues tokens, and a clock that runs while the keeper naps.

    Before each nap, `watch` is called: it may look at the file or break something. The world ends
    at `until`.
    """

    def __init__(self, path: Path, *, life: float = 600.0, until: float = 3600.0) -> None:
        self.now, self.life, self.until = 0.0, life, until
        self.issued: dict[str, float] = {}
        self.asked = 0
        self.trouble: LabError | None = None
        self.audience: str | None = "storage"
        self.watch: Callable[[], None] = lambda: None
        self.over = asyncio.Event()
        self.file = BearerFile(path)
        provider = CachingTokenProvider(self.fetch, clock=self.clock, rng=random.Random(4))  # noqa: S311 - jitter
        self.provider = provider
        self.keeper = TokenKeeper(
            provider, self.file, self.first_audience, clock=self.clock, sleep=self.nap
        )

    def clock(self) -> float:
        """Return the time of this world."""
        return self.now

    async def first_audience(self) -> str | None:
        """Name the audience."""
        if self.trouble is not None and self.audience is None:
            raise self.trouble
        return self.audience

    async def fetch(self, wanted: Wanted) -> Token:
        """Issue a token, or fail."""
        self.asked += 1
        if self.trouble is not None:
            raise self.trouble
        value = f"token-{len(self.issued)}"
        self.issued[value] = self.now + self.life
        return Token(Secret(value), wanted.audience, self.now, self.now + self.life)

    async def nap(self, seconds: float) -> None:
        """Let the time run, looking on the way."""
        assert seconds > 0
        # look in the middle of the nap and at its end: the file must be good at every moment
        for _ in range(2):
            self.now += seconds / 2
            self.watch()
        if self.now >= self.until:
            self.over.set()
            await asyncio.Event().wait()

    async def run(self) -> None:
        """Keep the file until the end of this world."""
        self.keeper.start()
        await asyncio.wait_for(self.over.wait(), 20)

    def seconds_left_in_file(self) -> float:
        """Return the life left of what the file holds."""
        return self.issued[self.file.path.read_text()] - self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "bt"


def down() -> NotAnswering:
    return NotAnswering("hub-unreachable", "The hub does not answer now.")


async def test_the_file_is_valid_at_every_moment_of_eight_hours(path: Path) -> None:
    world = World(path, life=600, until=8 * 3600)
    left: list[float] = []
    world.watch = lambda: left.append(world.seconds_left_in_file())
    await world.run()
    assert min(left) > 600 * 0.2
    # three quarters of ten minutes each: 64 renewals, and no more than jitter makes of it
    assert 62 <= world.asked <= 72
    await world.keeper.stop()
    assert not path.exists()  # noqa: ASYNC240


async def test_the_file_stays_valid_when_the_hub_is_away_for_two_minutes(path: Path) -> None:
    world = World(path, life=600)
    left: list[float] = []

    def watch() -> None:
        world.trouble = down() if 400 < world.now < 520 else None
        left.append(world.seconds_left_in_file())

    world.watch = watch
    await world.run()
    assert min(left) > 0
    assert world.provider.state("storage").state == "valid"
    await world.keeper.stop()


async def test_the_file_comes_when_the_hub_answers_later(path: Path) -> None:
    world = World(path, until=120)
    world.audience, world.trouble = None, down()

    def watch() -> None:
        if world.now > 60:
            world.audience, world.trouble = "storage", None

    world.watch = watch
    await world.run()
    assert world.seconds_left_in_file() > 0
    await world.keeper.stop()


async def test_a_new_token_comes_soon_when_a_laptop_slept_for_an_hour(path: Path) -> None:
    world = World(path, life=600, until=8000)
    slept = False
    expired_looks = 0

    def watch() -> None:
        nonlocal slept, expired_looks
        if not slept and world.now > 1000:
            slept = True
            world.now += 3600  # the nap's own timer knows nothing of it
        expired_looks += world.seconds_left_in_file() <= 0

    world.watch = watch
    await world.run()
    assert slept
    assert expired_looks <= 2
    await world.keeper.stop()


async def test_the_file_comes_back_when_somebody_removed_or_spoilt_it(path: Path) -> None:
    world = World(path, until=300)
    looks = 0

    def watch() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            path.unlink()
        if looks == 7:
            path.write_text("spoilt")

    world.watch = watch
    await world.run()
    assert world.seconds_left_in_file() > 0
    assert world.asked == 1
    await world.keeper.stop()


async def test_the_state_tells_when_the_file_cannot_be_written(path: Path) -> None:
    path.parent.write_text("a file where a folder should be")
    world = World(path, until=20)
    seen: list[str | None] = []

    def watch() -> None:
        state = world.keeper.refine(world.provider.state("storage"))
        seen.append(state.message if state.state == "error" else None)
        if world.now > 10 and path.parent.is_file():
            path.parent.unlink()

    world.watch = watch
    await world.run()
    assert seen[0] is not None
    assert "cannot be written" in seen[0]
    assert world.keeper.refine(world.provider.state("storage")).state == "valid"
    assert world.file.path.exists()
    await world.keeper.stop()


async def test_the_keeper_goes_on_when_the_hub_says_no_and_then_yes(path: Path) -> None:
    world = World(path, life=600, until=2400)

    def watch() -> None:
        over = 400 < world.now < 1500
        world.trouble = Refused("session-over", "Log in again.") if over else None

    world.watch = watch
    await world.run()
    assert world.seconds_left_in_file() > 0
    await world.keeper.stop()


async def test_the_keeper_goes_on_when_something_unforeseen_happens(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(path, until=120)
    failures = [RuntimeError("unforeseen"), OSError("unforeseen")]

    async def audience() -> str:
        if failures:
            raise failures.pop()
        return "storage"

    keeper = TokenKeeper(world.provider, world.file, audience, clock=world.clock, sleep=world.nap)
    keeper.start()
    await asyncio.wait_for(world.over.wait(), 10)
    assert path.exists()  # noqa: ASYNC240
    assert "unforeseen" in caplog.text
    await keeper.stop()


async def test_no_token_reaches_the_log(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    world = World(path, life=60, until=600)
    await world.run()
    await world.keeper.stop()
    assert caplog.text
    assert not any(token in caplog.text for token in world.issued)


async def test_a_token_born_nearly_dead_does_not_make_the_keeper_spin(path: Path) -> None:
    world = World(path, life=0.1, until=60)
    await world.run()
    assert world.asked <= 61
    await world.keeper.stop()
