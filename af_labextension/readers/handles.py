"""Two things that fsspec-xrootd would do otherwise.

It keeps files open between reads, for half a minute or more. Under tokens of a short life each
would hold a connection of its own generation: so they are forgotten with their token.

All of its work happens in one thread: so where a new token has to be waited for, that thread must
not be blocked.
"""

from __future__ import annotations

import weakref
from functools import wraps
from typing import TYPE_CHECKING, Any

from . import xrootd

if TYPE_CHECKING:
    from collections.abc import MutableMapping


def mend(fsspec_xrootd: Any) -> None:
    """Mend ``fsspec_xrootd.xrootd``."""
    client = fsspec_xrootd.client
    cache_class = fsspec_xrootd.ReadonlyFileHandleCache
    plain = cache_class._open  # noqa: SLF001

    @wraps(plain)
    async def _open(self: Any, *args: Any, **kwargs: Any) -> Any:
        name = None
        if xrootd.generations:
            await xrootd.generations.ready()
            name = xrootd.generations.name()
        if getattr(self, "_af_connection", name) != name:
            _forget(self._cache)
        self._af_connection = name
        return await plain(self, *args, **kwargs)

    cache_class._open = _open  # noqa: SLF001
    plain_wrap = fsspec_xrootd._async_wrap  # noqa: SLF001

    @wraps(plain_wrap)
    def _async_wrap(function: Any) -> Any:
        wrapped = plain_wrap(function)

        async def call(*args: Any, **kwargs: Any) -> Any:
            # what is asked of an open file needs no token
            if xrootd.generations and not (
                isinstance(getattr(function, "__self__", None), client.File)
                and function.__name__ != "open"
            ):
                await xrootd.generations.ready()
            return await wrapped(*args, **kwargs)

        return call

    fsspec_xrootd._async_wrap = _async_wrap  # noqa: SLF001


def _forget(cache: MutableMapping[str, Any]) -> None:
    """Empty the cache; each file is closed when the last read of it is done."""
    while cache:
        _, item = cache.popitem()
        # the bindings' object closes its file when it is collected, but waits for the server's
        # answer then, in fsspec's only thread
        closing = weakref.finalize(item.handle, _close, item.handle._File__file)  # noqa: SLF001
        closing.atexit = False  # XRootD.client does that
        del item


def _close(file: Any) -> None:
    file.close(0, lambda *_: None)
