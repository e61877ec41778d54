"""A clock that nobody sets and that a sleeping laptop does not stop. Pure.

Lives of tokens are counted on it. On the wall clock a token seems to live for another hour when
somebody sets the clock back by one, and programs go on with a dead one.
"""

from __future__ import annotations

import time

_START = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def steady() -> float:
    """Return seconds since the epoch, as the wall clock would tell if nobody had set it since."""
    return _START + time.clock_gettime(time.CLOCK_BOOTTIME)


def on_the_wall(moment: float) -> float:
    """Return what the wall clock shows at a `moment` of the steady one, both in seconds."""
    return moment + (time.time() - steady())


def from_the_wall(moment: float) -> float:
    """Return the moment on the steady clock that the wall clock calls `moment`, in seconds."""
    return moment - (time.time() - steady())
