"""What reading through the cache costs the origin, in bytes that cross the line between them."""

from __future__ import annotations

import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed.xrootd_6 import XCache

KIB, MIB = 2**10, 2**20
SIZE = 10 * MIB + 4321
"""Bytes of a file: not a whole number of blocks."""

READERS = 8

OVERHEAD = 0.004
"""What the protocol adds to data: 4 bytes of checksum for each page of 4 KiB (0.1 %), 24 to 32
bytes of header for each block, some more for each part of an answer that comes in several."""

OPENING = 32 * KIB
"""Bytes for a connection with its certificates, and for opening and closing one file."""

CLOSING = 64
"""Bytes of late answers, 8 each, to the closing of what was read before; a warm read has none of
its own: the origin is not even asked whether the file is still there."""


@dataclass
class Priced:
    """A file and what it has cost."""

    path: str
    content: bytes


@pytest.fixture(scope="module", params=[256 * KIB, MIB], ids=["256K", "1M"])
def block_size(xcache: XCache, request: pytest.FixtureRequest) -> Iterator[int]:
    """Give a cache with blocks of this size."""
    size: int = request.param
    if size == xcache.stack.facility.require_xcache().block_size:
        yield size
        return
    with xcache.configured(block_size=size):
        yield size


@pytest.fixture
def file(xcache: XCache) -> Iterator[Priced]:
    """Give a file that nobody has read."""
    path, content = f"/store/cms/{secrets.token_hex(6)}.bin", os.urandom(SIZE)
    target = xcache.stack.write(path, content)
    yield Priced(path, content)
    target.unlink()


def cost(xcache: XCache, act: Callable[[], object]) -> int:
    """Return the bytes that came from the origin meanwhile."""
    before = xcache.stack.meter.counters().down
    act()
    return xcache.stack.meter.counters().down - before


def read_by_many(xcache: XCache, file: Priced) -> None:
    """Read the whole file by several clients at the same time."""
    token = xcache.stack.token()
    with ThreadPoolExecutor(READERS) as pool:
        for read in pool.map(lambda _: xcache.stack.read(file.path, token), range(READERS)):
            assert read == file.content


def test_origin_pays_once_when_eight_read_and_nothing_when_they_read_again(
    xcache: XCache, block_size: int, file: Priced
) -> None:
    cold = cost(xcache, partial(read_by_many, xcache, file))
    warm = cost(xcache, partial(read_by_many, xcache, file))
    assert SIZE <= cold <= SIZE * (1 + OVERHEAD) + OPENING
    assert 0 <= warm <= CLOSING


def test_origin_pays_for_the_blocks_touched_when_parts_are_read(
    xcache: XCache, block_size: int, file: Priced
) -> None:
    token = xcache.stack.token()

    def read(start: int) -> None:
        headers = {"Range": f"bytes={start}-{start + 499}"}
        answer = xcache.stack.get(file.path, token, headers=headers)
        assert answer == (206, file.content[start : start + 500])

    for start, blocks in ((5 * block_size + 10, 1), (9 * block_size - 100, 2)):
        cold = cost(xcache, partial(read, start))
        assert blocks * block_size <= cold <= blocks * block_size * (1 + OVERHEAD) + OPENING
        assert 0 <= cost(xcache, partial(read, start)) <= CLOSING
