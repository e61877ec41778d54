"""What the worker does for the server: list a folder, tell the sizes of some names."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

from .calls import Call, CallFailed, ask, undecodable
from .protocol import PAGE, WINDOW, Failure, Frame, ListFolder, StatNames
from .rows import Item, item_from, may_be_shown, ndjson
from .rules import IS_DIRECTORY, lists_with_stat
from .servers import LONGEST_CALL, MOST_LANES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .servers import Server

SMALL = 50
"""Names of a folder that get their sizes before it is shown."""

SMALL_BUDGET = 0.7
"""Seconds that a small folder waits for sizes."""

STAT_BUDGET = 15.0
"""Seconds for the sizes that the browser asks for."""

_NO_SIZES = Failure("silent", "no sizes in time")

SLOW = 0.1
"""Seconds after which rows go, though they do not fill a page."""

_STAT, _CHUNKED = 1, 16
"""Flags of XRootD.client.flags.DirListFlags."""


class Listing:
    """A listing under way.

    Parameters
    ----------
    request
        What to list.
    server
        Where.
    send
        Sends a frame to the Lab server.
    """

    def __init__(
        self, request: ListFolder, server: Server, send: Callable[[Frame], Awaitable[None]]
    ) -> None:
        self._request = request
        self._server = server
        self._send = send
        self._credit = asyncio.Semaphore(WINDOW)
        self._ready: list[Item] = []
        self._taken = 0
        self._count = 0
        self._left_out = 0
        self._sent_at = 0.0

    def more(self) -> None:
        """Let one more page go."""
        self._credit.release()

    async def run(self) -> None:
        """List the folder.

        Raises
        ------
        CallFailed
            It cannot be listed.
        """
        with_stat = lists_with_stat(await self._server.version())
        try:
            with self._server.lane(leave=True) as system:
                call = Call(self._take, self._server.patience)
                undecodable.add(call)
                try:
                    flags = _CHUNKED | (_STAT if with_stat else 0)
                    await call.start(system.dirlist, self._request.path, flags, LONGEST_CALL)
                    await self._pass_on(call)
                finally:
                    undecodable.discard(call)
                    call.close()
        except CallFailed as error:
            raise await self._closer(error) from error
        if not with_stat and self._count + len(self._ready) <= SMALL:
            self._ready = await self._with_sizes(self._ready)
        await self._flush(everything=True)
        await self._send(Frame("end", self._request.id, left_out=self._left_out))

    def _take(self, answer: dict[str, Any]) -> tuple[list[Item], int]:
        """Take entries from a chunk, in the bindings' thread, and count those beyond the limit.

        Chunks come faster than a browser takes pages: what is beyond must not even be kept.
        """
        entries = answer["dirlist"]
        kept = entries[: max(0, self._request.limit - self._taken)]
        self._taken += len(kept)
        items = [item_from(entry["name"], entry["statinfo"]) for entry in kept]
        return items, len(entries) - len(kept)

    async def _pass_on(self, call: Call) -> None:
        """Send pages while names come; a small folder's are kept."""
        while (chunk := await call.next()) is not None:
            items, beyond = chunk
            shown = [item for item in items if may_be_shown(item.name)]
            self._left_out += len(items) - len(shown) + beyond
            self._ready += shown
            if self._count or len(self._ready) > SMALL:
                # the first rows go at once, later ones in full pages unless names come slowly
                await self._flush(everything=time.monotonic() > self._sent_at + SLOW)

    async def _flush(self, *, everything: bool) -> None:
        """Send full pages, and the rest if wanted, as fast as they are taken."""
        while len(self._ready) >= PAGE or (everything and self._ready):
            page, self._ready = self._ready[:PAGE], self._ready[PAGE:]
            await self._credit.acquire()
            self._sent_at = time.monotonic()
            self._count += len(page)
            body = ndjson(page, self._request.url)
            await self._send(Frame("rows", self._request.id, len(page), self._left_out, body=body))

    async def _with_sizes(self, items: list[Item]) -> list[Item]:
        """Ask for types and sizes for a moment; names that take longer stay without."""
        known: dict[str, Item] = {}
        try:
            async with asyncio.timeout(SMALL_BUDGET):
                await stat_all(
                    self._server, self._request.path, [item.name for item in items], known
                )
        except (TimeoutError, CallFailed):
            pass  # the browser asks again for what it shows
        return [known.get(item.name, item) for item in items]

    async def _closer(self, error: CallFailed) -> CallFailed:
        """Look closer at a refusal: servers have several words for "this is a file"."""
        if error.failure.reason != "other" or not error.errno:
            return error
        try:
            item = await _stat(self._server, self._request.path)
        except CallFailed:
            return error
        if item is not None and item.type == "file":
            return CallFailed(Failure("is-file", error.failure.detail), error.errno)
        return error


async def tell_sizes(
    request: StatNames, server: Server, send: Callable[[Frame], Awaitable[None]]
) -> None:
    """Answer a `StatNames`; names that are gone, or take too long, are left out.

    Raises
    ------
    CallFailed
        Nothing can be told.
    """
    known: dict[str, Item] = {}
    try:
        async with asyncio.timeout(STAT_BUDGET):
            await stat_all(server, request.path, request.names, known)
    except (TimeoutError, CallFailed) as error:
        if not known:
            raise error if isinstance(error, CallFailed) else CallFailed(_NO_SIZES) from None
    entries = [known[name].as_json() for name in request.names if name in known]
    body = json.dumps(entries).encode()
    await send(Frame("entries", request.id, len(entries), body=body))
    await send(Frame("end", request.id))


async def stat_all(
    server: Server, path: str, names: tuple[str, ...] | list[str], known: dict[str, Item]
) -> None:
    """Fill `known` with what the server tells about names in a folder, several at a time.

    Raises
    ------
    CallFailed
        The server does not answer. A name that cannot be told is no failure.
    """
    left = list(reversed(names))

    async def work() -> None:
        while left:
            name = left.pop()
            try:
                item = await _stat(server, f"{path.rstrip('/')}/{name}", name)
            except CallFailed as error:
                if error.errno:
                    continue
                raise
            if item is not None:
                known[name] = item

    workers = [asyncio.create_task(work()) for _ in range(min(2 * MOST_LANES, len(left)))]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()


async def _stat(server: Server, path: str, name: str = "") -> Item | None:
    """Ask about one path."""
    try:
        with server.lane() as system:
            question = (system.stat, path, LONGEST_CALL)
            answer = await ask(*question, read=dict, patience=server.patience)
    except CallFailed as error:
        if error.errno == IS_DIRECTORY:
            return Item(name, "directory")
        raise
    return None if answer is None else item_from(name, answer)
