"""Blocking calls in threads that may be waited for even after their task was cancelled."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Errand:
    """One blocking call at a time.

    A cancelled task leaves a call that runs in a thread alone. Who cleans up after it (removes the
    file that the call writes) must not be faster than the call: so `finished` waits for it.
    """

    def __init__(self) -> None:
        self._call: asyncio.Task[Any] | None = None

    async def run(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Call a function in a thread and return what it returns."""
        call = asyncio.create_task(asyncio.to_thread(function, *args, **kwargs))
        self._call = call
        return await asyncio.shield(call)

    async def finished(self) -> None:
        """Wait until no call runs any more; what the last one raised is not of interest."""
        if self._call is not None:
            await asyncio.gather(self._call, return_exceptions=True)
