"""One request to the bindings and its answers, for asyncio.

The bindings call back from threads of their own, several times for a listing in chunks. The
low-level module is used: the classes of ``XRootD.client`` copy each answer into objects, which
makes a listing of 100,000 entries cost 135 MB and more; chunk by chunk it costs 4 MB.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from .protocol import Failure
from .rules import failure_of

if TYPE_CHECKING:
    from collections.abc import Callable

_CONTINUE = 1
"""Status code of an answer that more will follow (XrdCl::suContinue)."""


class CallFailed(Exception):
    """A request failed.

    Parameters
    ----------
    failure
        Why.
    errno
        The server's code, 0 where the server did not answer.
    """

    def __init__(self, failure: Failure, errno: int = 0) -> None:
        super().__init__(failure.detail)
        self.failure = failure
        self.errno = errno


class _Undecodable:
    """Listings to wake when the bindings meet a name that is not UTF-8.

    The bindings decode names strictly, print the error and never call back. The error goes through
    ``sys.excepthook``, which cannot tell whose answer was lost: every listing under way ends.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: set[Call] = set()

    def add(self, call: Call) -> None:
        """Wake this call."""
        with self._lock:
            self._calls.add(call)

    def discard(self, call: Call) -> None:
        """Leave this call alone."""
        with self._lock:
            self._calls.discard(call)

    def tell(self) -> None:
        """Fail every call that waits."""
        with self._lock:
            calls = tuple(self._calls)
        for call in calls:
            call.fail(Failure("names", "a name is not UTF-8"))


undecodable = _Undecodable()
"""The listings of this process."""


class Call:
    """A request under way.

    Parameters
    ----------
    read
        Takes from an answer what is needed, in the bindings' thread.
    patience
        Seconds without any answer after which the request is given up.
    """

    def __init__(self, read: Callable[[Any], Any], patience: float) -> None:
        self._read = read
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._answers: asyncio.Queue[tuple[bool, Any, CallFailed | None]] = asyncio.Queue()
        self._over = self._closed = False

    async def start(self, method: Callable[..., Any], *arguments: Any) -> None:
        """Send the request. Looking up a host name blocks, so it happens in a thread.

        Raises
        ------
        CallFailed
            It could not be sent.
        """
        self._check(await asyncio.to_thread(method, *arguments, self._arrived))

    async def next(self) -> Any:
        """Return what the next answer holds, ``None`` after the last.

        Raises
        ------
        CallFailed
            The request failed, or nothing came for long.
        """
        if self._over:
            return None
        try:
            async with asyncio.timeout(self._patience):
                self._over, value, error = await self._answers.get()
        except TimeoutError:
            raise CallFailed(Failure("silent", f"nothing for {self._patience:.0f} s")) from None
        if error is not None:
            raise error
        return value

    def fail(self, failure: Failure) -> None:
        """End the request with a failure; callable from any thread."""
        self._put(True, None, CallFailed(failure))

    def close(self) -> None:
        """Forget the request; what still comes is dropped."""
        self._closed = True

    def _arrived(self, status: dict[str, Any], answer: Any, _hosts: Any = None) -> None:
        """Take an answer, in a thread of the bindings."""
        if self._closed:
            return
        more = status["ok"] and status["code"] == _CONTINUE
        try:
            self._check(status)
            value = None if answer is None else self._read(answer)
        except CallFailed as error:
            self._put(True, None, error)
        else:
            self._put(not more, value, None)

    def _put(self, last: bool, value: Any, error: CallFailed | None) -> None:
        self._loop.call_soon_threadsafe(self._answers.put_nowait, (last, value, error))

    @staticmethod
    def _check(status: dict[str, Any]) -> None:
        """Raise what a status says."""
        if not status["ok"]:
            errno = int(status["errno"])
            raise CallFailed(failure_of(int(status["code"]), errno, status["message"]), errno)


async def ask(
    method: Callable[..., Any], *arguments: Any, read: Callable[[Any], Any], patience: float
) -> Any:
    """Make a request that has one answer.

    Raises
    ------
    CallFailed
        It failed.
    """
    call = Call(read, patience)
    try:
        await call.start(method, *arguments)
        return await call.next()
    finally:
        call.close()
