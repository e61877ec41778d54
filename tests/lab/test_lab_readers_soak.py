"""Three minutes of reading with tokens of 20 s, in good times and bad; ``make soak`` runs it.

Everything is real: the development IAM, the hub, a Lab that keeps the token file, the XCache, a
program with four Dask workers.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from testbed.reading import CLOCK, WORKERS, Reading, connections, fill
from testbed.token_chain import Chain, token_chain

if TYPE_CHECKING:
    from collections.abc import Iterator
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


def trouble(chain: Chain) -> None:
    """Restart the hub, set the clocks of the Lab and the readers, take the IAM away for long."""
    time.sleep(20)
    chain.restart_hub(away=5)
    time.sleep(15)
    chain.clock.write_text("3600")
    time.sleep(30)
    chain.clock.write_text("0")
    time.sleep(10)
    chain.stop_iam(away=60)


@pytest.mark.parametrize("bad", [False, True], ids=["good-times", "bad-times"])
def test_no_operation_fails_while_tokens_of_20_seconds_come_and_go(
    chain: Chain, tmp_path: Path, bad: bool
) -> None:
    before = len(chain.stack.log("xcache"))
    reading = Reading(chain.stack, tmp_path, {CLOCK: str(chain.clock)}, chain.file)
    reading.look_at("/store" + FOLDER)
    tokens = set()
    with reading.running():
        end = time.monotonic() + 60 * MINUTES
        troubles = threading.Thread(target=trouble, args=[chain])
        if bad:
            troubles.start()
        while time.monotonic() < end or troubles.is_alive():
            if chain.file.exists():
                tokens.add(chain.file.read_text())
            time.sleep(0.5)
        results = reading.results()
    failures = [failure for each in results for failure in each["failures"]]
    operations = sum(each["operations"] for each in results)
    most = connections(chain.stack.log("xcache")[before:])
    print(f"{operations} operations, {len(failures)} failed, {len(tokens)} tokens, {most}")
    assert failures == []
    assert len({each["pid"] for each in results}) == WORKERS + 1
    assert len(tokens) > 0.5 * 60 * MINUTES / LIFE
    assert max(most.values()) <= 2, most
