"""An event loop whose time jumps to the next thing that is due: hours of waiting in seconds.

What is real stays real: sockets, files, HTTP. Only waiting is left out. Calls that would go to a
thread are made at once, so that nothing happens between two moments.
"""

from __future__ import annotations

import asyncio
import selectors
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

GRACE = 0.001
"""Seconds that bytes on their way between two sockets of this process are waited for."""


class _AtOnce(ThreadPoolExecutor):
    """Makes each call where it is asked for."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - told where it is awaited
            done.set_exception(error)
        return done


class _Jumping(selectors.DefaultSelector):
    """Moves the time on where nothing else is to be done."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.before_jump: Callable[[float], None] = lambda _: None

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        if found := super().select(GRACE):
            return found
        self.before_jump(self.now + timeout)
        self.now += timeout
        return []


class VirtualTime(asyncio.SelectorEventLoop):
    """The loop; its `time` begins at 0.

    ``before_jump(moment)`` is called before the time jumps to a moment: until then everything
    stays as it is, so whoever looks now has seen all moments in between.
    """

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)
        self.set_default_executor(_AtOnce())

    def time(self) -> float:
        """Return the seconds since the loop began."""
        return self._jumping.now

    def watch(self, before_jump: Callable[[float], None]) -> None:
        """Set what is called before each jump."""
        self._jumping.before_jump = before_jump
