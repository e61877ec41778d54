"""Let fsspec-xrootd forget files that it keeps open under an older token.

It keeps files open between reads, for half a minute or more. Under tokens of a short life each
would hold a connection of its own generation.
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
    cache_class = fsspec_xrootd.ReadonlyFileHandleCache
    plain = cache_class._open  # noqa: SLF001

    @wraps(plain)
    async def _open(self: Any, *args: Any, **kwargs: Any) -> Any:
        name = xrootd.generations.name() if xrootd.generations else None
        if getattr(self, "_af_connection", name) != name:
            _forget(self._cache)
        self._af_connection = name
        return await plain(self, *args, **kwargs)

    cache_class._open = _open  # noqa: SLF001


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
