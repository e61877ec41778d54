"""What is done to processes: they are held still, killed, and waited for."""

from __future__ import annotations

import logging
import os
import signal
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from .processes import read

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from .meters import Meter
    from .processes import Tree

log = logging.getLogger(__name__)

RELEASE_LIMIT = 15.0
"""Seconds for which the memory of what was killed may take to come back."""

THREADS_LIMIT = 1.0
"""Seconds for which it may take after the processes are gone."""

RELEASE_PAUSE = 0.01


@contextmanager
def held_still(leaders: Collection[int]) -> Iterator[None]:
    """Let processes do nothing meanwhile, each with its process group if it leads one.

    Jupyter starts a kernel as the leader of a group, in which what it starts is, too, unless that
    makes a group of its own. Only children of this process are: a kernel that runs elsewhere may
    have the number of a stranger here.
    """
    still = [pid for pid in leaders if (one := read(pid)) and one.parent == os.getpid()]
    try:
        for pid in still:
            _send(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in still:
            _send(pid, signal.SIGCONT)


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(OSError):
        if os.getpgid(pid) == pid:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)


def kill(tree: Tree) -> set[int]:
    """Kill a tree at once; return the processes."""
    for process in tree.processes:
        with suppress(OSError):
            os.kill(process.pid, signal.SIGKILL)
    return {process.pid for process in tree.processes}


def await_release(killed: Collection[int], meter: Meter, wanted: int) -> None:
    """Wait until what was killed is gone, or the next kernel would be ended for its memory.

    Parameters
    ----------
    wanted
        Bytes to which that should bring the meter.
    """
    end = time.monotonic() + RELEASE_LIMIT
    while any(read(pid) is not None for pid in killed):
        if time.monotonic() > end:
            log.warning("processes that were killed are still there: %s", sorted(killed))
            return
        time.sleep(RELEASE_PAUSE)
    # the memory goes with the last thread, which may come after the process is seen to be gone
    end = time.monotonic() + THREADS_LIMIT
    while time.monotonic() < end and (now := meter.read()) is not None and now.held > wanted:
        time.sleep(RELEASE_PAUSE)
