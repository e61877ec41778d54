"""Three minutes of reading with tokens of 20 s, in good times and bad; ``make soak`` runs it.

Everything is real: the development IAM, the hub, a Lab that keeps the token file, the XCache, a
program with four Dask workers.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from testbed.reading import CLOCK, WORKERS, Reading, connections, fill
from testbed.token_chain import Chain, token_chain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LIFE = 20
MINUTES = 3
FOLDER = "/cms/soak"

pytestmark = [
    pytest.mark.skipif(not os.environ.get("AF_SOAK"), reason="runs by `make soak`"),
    pytest.mark.timeout(1200),
]


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """Start the chain with a folder to read."""
    with token_chain(tmp_path_factory.mktemp("chain"), LIFE) as running:
        fill(running.stack, FOLDER)
        yield running


def good_times(_: Chain) -> None:
    """Let time go by."""
    time.sleep(60 * MINUTES)


def bad_times(chain: Chain) -> None:
    """Restart the hub, set the clocks of the Lab and the readers, take the IAM away for long."""
    time.sleep(15)
    chain.restart_hub(away=5)
    time.sleep(15)
    chain.clock.write_text("3600")
    time.sleep(30)
    chain.clock.write_text("0")
    time.sleep(15)
    chain.stop_iam(away=60)
    time.sleep(90)


@contextmanager
def counted(file: Path) -> Iterator[set[str]]:
    """Collect the tokens that are in a file for a time."""
    tokens: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.5):
            with suppress(OSError):
                tokens.add(file.read_text())

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield tokens
    finally:
        over.set()
        looking.join()


@pytest.mark.parametrize("times", [good_times, bad_times])
def test_no_operation_fails_while_tokens_of_20_seconds_come_and_go(
    chain: Chain, tmp_path: Path, times: Callable[[Chain], None]
) -> None:
    before = len(chain.stack.log("xcache"))
    reading = Reading(chain.stack, tmp_path, {CLOCK: str(chain.clock)}, chain.file)
    reading.look_at("/store" + FOLDER)
    with reading.running(), counted(chain.file) as tokens:
        # in this thread: what a thread starts may end with it
        times(chain)
        results = reading.results()
    failures = [failure for each in results for failure in each["failures"]]
    operations = sum(each["operations"] for each in results)
    most = connections(chain.stack.log("xcache")[before:])
    print(f"{operations} operations, {len(failures)} failed, {len(tokens)} tokens, {most}")
    assert failures == []
    assert len({each["pid"] for each in results}) == WORKERS + 1
    assert len(tokens) > 0.5 * 60 * MINUTES / LIFE
    assert max(most.values()) <= 2, most
