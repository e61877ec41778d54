"""Programs read the token file all the time while it is renewed all the time.

``AF_READS`` sets how often it is read (``make soak``: ten million times).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from af_labextension.secret import Secret
from af_labextension.tokens.bearer_file import BearerFile
from af_labextension.tokens.keeper import TokenKeeper
from af_labextension.tokens.model import Token, Wanted
from af_labextension.tokens.provider import CachingTokenProvider

if TYPE_CHECKING:
    from collections.abc import Iterator

READS = int(os.environ.get("AF_READS", "100000"))
READERS = 4
RENEWALS = READS // 50
READER = Path(__file__).parents[1] / "testbed" / "token_reader.py"
LIFE = 20.0


class Rush:
    """A time that runs as fast as the keeper can renew tokens."""

    def __init__(self, path: Path) -> None:
        self.now, self.renewals = 0.0, 0
        self._rng = random.Random(5)  # noqa: S311 - lengths of tokens
        provider = CachingTokenProvider(self.fetch, clock=lambda: self.now)
        self.keeper = TokenKeeper(
            provider, BearerFile(path), self.audience, clock=lambda: self.now, sleep=self.nap
        )

    async def audience(self) -> str:
        """Name the audience."""
        return "storage"

    async def fetch(self, wanted: Wanted) -> Token:
        """Issue a token that shows whether it is whole; lengths as real ones have them."""
        self.renewals += 1
        rest = f"{self.renewals}-" + "x" * self._rng.choice([100, 900, 4000, 9000])
        value = f"{hashlib.sha256(rest.encode()).hexdigest()}.{rest}"
        return Token(Secret(value), wanted.audience, self.now, self.now + LIFE)

    async def nap(self, seconds: float) -> None:
        """Let the time run."""
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Give a folder in memory, as a Lab's runtime folder is; disks are slow to write through."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="af-test-", dir=memory) as made:
        yield Path(made)


async def test_no_reader_sees_a_partial_token_when_it_is_renewed_thousands_of_times(
    folder: Path,
) -> None:
    path = folder / "run" / "bt"
    rush = Rush(path)
    rush.keeper.start()
    while not path.exists():  # noqa: ASYNC110 - a file gives no event
        await asyncio.sleep(0.01)
    before = rush.renewals
    readers = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            *(str(READER), str(path), str(READS // READERS)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(READERS)
    ]
    async with asyncio.timeout(240 * max(1, READS // 100_000)):
        while rush.renewals < before + RENEWALS:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)
        reports = [json.loads((await reader.communicate(b""))[0]) for reader in readers]
    renewals = rush.renewals - before
    await rush.keeper.stop()
    seen: Counter[str] = Counter()
    for report in reports:
        seen.update(report["seen"])
        # each reader saw the file change under its eyes
        assert report["changes"] >= 100, reports
    assert set(seen) == {"whole"}, seen
    assert seen["whole"] >= READS
    assert renewals >= RENEWALS
