"""Keeping up with a list of the API server: read once, then every change.

KubeSpawner's reflectors read everything anew every ten seconds, wait ever longer for a server that
is away and give up after some 51 s; then a pod that was deleted runs for ever in the hub's eyes
(kubespawner#938, open). Here changes are taken up where they were left, a watch that has gone
silent is noticed after `SPAN` seconds, and a server that is away is asked again every second.
"""

from __future__ import annotations

import asyncio
import json
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Protocol

import aiohttp
from kubernetes_asyncio.client import ApiException

if TYPE_CHECKING:
    import logging
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

FAILURES: Final = (aiohttp.ClientError, ApiException, OSError, TimeoutError)
"""What comes out of a request that did not succeed."""

SPAN: Final = 5
"""Seconds after which the API server ends each watch; it says how far it came, so nothing is read
twice."""

SILENCE: Final = SPAN + 2.0
"""Seconds without a word after which a watch has stalled."""

REFUSED_AT_MOST: Final = 5
"""How often, once a second, a server may forbid what the hub may do: one that has just started knows
no roles yet."""

REFUSED_AFTER_AN_ABSENCE: Final = 30
"""The same for one that did not answer before."""

PAGE: Final = 500
"""Objects of one answer, so that reading it does not hold up the hub."""


def is_away(error: BaseException) -> bool:
    """Tell whether the API server did not answer, as opposed to saying no."""
    if isinstance(error, ApiException):
        status = error.status or 0
        return status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS
    return isinstance(error, FAILURES)


_FORBIDDEN: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)

_GARBLED: Final = (KeyError, TypeError, ValueError)
"""What comes out of an answer that is no Kubernetes'."""


def _is_too_old(error: BaseException) -> bool:
    """Tell whether the server no longer knows the changes since the last one we have."""
    return isinstance(error, ApiException) and error.status == HTTPStatus.GONE


def _is_no(error: BaseException) -> bool:
    """Tell whether the server forbids it."""
    return isinstance(error, ApiException) and error.status in _FORBIDDEN


class Copy(Protocol):
    """What keeps the objects."""

    def replace(self, objects: Iterable[dict[str, Any]]) -> None:
        """Take all objects as they are now."""

    def put(self, one: dict[str, Any]) -> None:
        """Take an object that is new or has changed."""

    def remove(self, one: dict[str, Any]) -> None:
        """Forget an object that is gone."""


def object_key(one: dict[str, Any]) -> str:
    """Name an object by namespace and name."""
    metadata = one["metadata"]
    return f"{metadata.get('namespace', '')}/{metadata['name']}"


class Follower:
    """Keeps one copy of a list up to date.

    Parameters
    ----------
    request
        Method of a Kubernetes client that lists, with its selectors.
    copy
        What keeps the objects.
    log
        For what goes wrong, once for each time.
    what
        Name of the objects, for the log.
    only_new
        Do not read what is there already, only what comes from now on.
    retry_after
        Seconds between two questions to a server that does not answer.
    bears_a_no
        Ask again some times when the first reading is forbidden: a server that has just started
        knows no roles yet.
    heeds_a_no
        Raise when what was allowed before is forbidden for longer than such a server does so;
        otherwise it is asked for ever.
    """

    def __init__(
        self,
        request: Callable[..., Awaitable[Any]],
        copy: Copy,
        *,
        log: logging.Logger | logging.LoggerAdapter[Any],
        what: str,
        only_new: bool = False,
        retry_after: float = 1.0,
        bears_a_no: bool = False,
        heeds_a_no: bool = False,
    ) -> None:
        self._request = request
        self._copy = copy
        self._log = log
        self._what = what
        self._only_new = only_new
        self._retry_after = retry_after
        self._bears_a_no = bears_a_no
        self._heeds_a_no = heeds_a_no
        self.read_before = False
        self._told = False
        self._version = ""

    async def read(self) -> None:
        """Read everything; ask again until the server answers.

        Raises
        ------
        ApiException
            At the first time only, unless a no is heeded: the hub may not read this.
        """
        silent = refused = 0
        while True:
            try:
                await self._read()
            except (*FAILURES, *_GARBLED) as error:
                silent, refused = silent + is_away(error), refused + _is_no(error)
                if not self._bears(error, silent, refused):
                    raise
                await self._pause(error)
            else:
                self.read_before = True
                return

    def _bears(self, error: BaseException, silent: int, refused: int) -> bool:
        """Tell whether to ask again; a no may be that of a server that has just started."""
        if not _is_no(error):
            return self.read_before or is_away(error) or _is_too_old(error)
        patience = REFUSED_AFTER_AN_ABSENCE if silent else REFUSED_AT_MOST
        if self.read_before:
            return refused <= patience or not self._heeds_a_no
        return refused <= patience and (self._bears_a_no or silent > 0)

    async def follow(self) -> None:
        """Take every change from where `read` has left off, for ever.

        Raises
        ------
        ApiException
            If a no is heeded: the hub may not read this any more.
        """
        while True:
            try:
                await self._watch()
            except (*FAILURES, *_GARBLED) as error:
                if not _is_too_old(error):
                    await self._pause(error)
                # also after a mere break: a server that was restored from a copy is behind
                await self.read()

    async def _read(self) -> None:
        objects: list[dict[str, Any]] = []
        more, limit = "", 1 if self._only_new else PAGE
        while True:
            answer = await self._ask(limit=limit, **({"_continue": more} if more else {}))
            page = json.loads(await answer.read())
            metadata = page["metadata"]
            more = metadata.get("continue") or ""
            if self._only_new:
                break
            objects += page["items"]
            if not more:
                break
        self._version = metadata["resourceVersion"]
        self._copy.replace(objects)

    async def _watch(self) -> None:
        begin = time.monotonic()
        async with await self._ask(
            watch=True,
            allow_watch_bookmarks=True,
            resource_version=self._version,
            timeout_seconds=SPAN,
        ) as answer:
            heard = self._told = False
            async for line in _lines(answer):
                self._take(json.loads(line))
                heard = True
        if not heard and time.monotonic() < begin + 1:
            # something in between that answers for the server
            await asyncio.sleep(self._retry_after)

    def _take(self, change: dict[str, Any]) -> None:
        kind, one = change["type"], change["object"]
        if kind == "ERROR":
            raise ApiException(status=one.get("code"), reason=one.get("reason"))
        if kind == "DELETED":
            self._copy.remove(one)
        elif kind != "BOOKMARK":
            self._copy.put(one)
        self._version = one["metadata"]["resourceVersion"]

    async def _ask(self, **arguments: Any) -> Any:
        answer = await self._request(
            _preload_content=False, _request_timeout=(SILENCE, SILENCE), **arguments
        )
        if answer.status != HTTPStatus.OK:
            status, reason = answer.status, answer.reason
            answer.release()
            raise ApiException(status=status, reason=reason)
        return answer

    async def _pause(self, error: BaseException) -> None:
        # a no that is heeded is told by whoever heeds it
        if not (self._told or (self._heeds_a_no and _is_no(error))):
            self._log.warning("No answer about %s, asking again: %r", self._what, error)
            self._told = True
        await asyncio.sleep(self._retry_after)


async def _lines(answer: Any) -> AsyncIterator[bytes]:
    """Split a stream into lines of any length."""
    rest = b""
    async for piece in answer.content.iter_any():
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if line:
                yield line
