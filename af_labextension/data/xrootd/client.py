"""List folders of XRootD doors with the user's token."""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from af_labextension.clock import steady
from af_labextension.data.granted import leading_names
from af_labextension.data.paths import checked_raw_path, is_name, raw_url_of
from af_labextension.errors import LabError, NotAnswering
from af_labextension.rows import Page

from .process import Limits, WorkerGone, WorkerProcess
from .protocol import ListFolder, StatNames
from .rows import Item, ndjson
from .sentences import error_from

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from af_labextension.data.doors import Door
    from af_labextension.tokens.model import Token
    from af_labextension.tokens.provider import TokenProvider

    from .protocol import Failure

_WORTH_RENEWING = 30.0
"""Seconds. "Forbidden" with an older token may mean that it ended or that groups have changed."""


class _Failed(Exception):
    """The worker says that a request failed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


class _Attempts:
    """What has been tried for one request: each cure once.

    Parameters
    ----------
    tokens
        Where tokens come from.
    """

    def __init__(self, tokens: TokenProvider, door: Door, path: str) -> None:
        self._tokens = tokens
        self._door = door
        self._path = path
        self._renewed = self._restarted = False
        self.token: Token | None = None

    async def begin(self) -> None:
        """Get a token, if the door wants one."""
        if self._door.audience:
            self.token = await self._tokens.token(self._door.audience)

    async def cure(self, error: _Failed | WorkerGone) -> None:
        """Do what makes another attempt worth while.

        Raises
        ------
        LabError
            Nothing does: the sentence for the user.
        """
        if isinstance(error, WorkerGone):
            if self._restarted:
                raise worker_gone() from error
            self._restarted = True
            return
        refusal = error_from(error.failure, self._door, self._path)
        if self._renewed or not self._token_may_be_stale(error.failure):
            raise refusal from error
        self._renewed = True
        refused = self.token
        try:
            self.token = await self._tokens.token(self._door.audience or "", refused=refused)
        except LabError:
            if error.failure.reason == "token":
                raise
            raise refusal from error
        if refused is None or self.token.value == refused.value:
            raise refusal from error

    def _token_may_be_stale(self, failure: Failure) -> bool:
        """Tell whether another token could help."""
        if self.token is None:
            return False
        age = steady() - self.token.obtained_at
        return failure.reason == "token" or (
            failure.reason == "not-allowed" and age > _WORTH_RENEWING
        )


class XRootD:
    """An XRootD client: lists folders, tells sizes.

    Parameters
    ----------
    tokens
        Where tokens come from.
    limits
        How long to wait, and for how much.
    """

    def __init__(self, tokens: TokenProvider, limits: Limits | None = None) -> None:
        self._tokens = tokens
        self._limits = limits or Limits()
        # the bindings know one token at a time, so each audience has a worker
        self._workers: dict[str | None, WorkerProcess] = {}

    async def pages(self, door: Door, path: str) -> AsyncGenerator[Page, None]:
        """Give the rows of a folder, a page at a time, no faster than they are taken.

        A token that the door refuses is replaced once; a worker that dies before the first page
        is started again once.

        Parameters
        ----------
        path
            Normalised path below the door.

        Raises
        ------
        BadRequest
            The path cannot be said to an XRootD server.
        Refused
            The door said no, or there is no such folder.
        NotAnswering
            The door does not answer, or not usefully.
        """
        checked_raw_path(path)
        attempts = _Attempts(self._tokens, door, path)
        await attempts.begin()
        begun = False
        while True:
            try:
                async with aclosing(self._list(door, path, attempts.token)) as pages:
                    async for page in pages:
                        begun = True
                        yield page
            except WorkerGone as error:
                if begun:
                    raise worker_gone() from error
                await attempts.cure(error)
            except _Failed as error:
                if begun:
                    raise error_from(error.failure, door, path) from error
                if (way := _way_to_granted(error.failure, door, path, attempts.token)) is not None:
                    yield way
                    return
                await attempts.cure(error)
            else:
                return

    async def stat(self, door: Door, path: str, names: list[str]) -> list[dict[str, Any]]:
        """Tell type, size and time of names in a folder; names that are gone are left out.

        Raises
        ------
        BadRequest, Refused, NotAnswering
            As for `pages`.
        """
        checked_raw_path(path)
        attempts = _Attempts(self._tokens, door, path)
        await attempts.begin()
        asked = [name for name in names if "?" not in name]
        while True:
            try:
                return await self._stat(door, path, asked, attempts.token)
            except (WorkerGone, _Failed) as error:
                await attempts.cure(error)

    async def close(self) -> None:
        """End the workers."""
        for worker in self._workers.values():
            await worker.close()

    def worker(self, audience: str | None) -> WorkerProcess:
        """Return the worker for an audience; it starts with its first request."""
        if audience not in self._workers:
            self._workers[audience] = WorkerProcess(
                with_token=audience is not None, limits=self._limits
            )
        return self._workers[audience]

    async def _list(self, door: Door, path: str, token: Token | None) -> AsyncGenerator[Page, None]:
        """Make one attempt to list a folder."""

        def command(number: int) -> ListFolder:
            server, folder = _split(door, path)
            url = raw_url_of(door.url, path)
            return ListFolder(number, server, folder, url, self._limits.rows)

        worker = self.worker(door.audience)
        async with worker.exchange(token.value if token else None, command) as exchange:
            while True:
                frame = await exchange.next()
                if frame.failure is not None:
                    raise _Failed(frame.failure)
                yield Page(frame.count, frame.body, {"left_out": frame.left_out})
                if frame.kind == "end":
                    return

    async def _stat(
        self, door: Door, path: str, names: list[str], token: Token | None
    ) -> list[dict[str, Any]]:
        """Make one attempt to stat names."""

        def command(number: int) -> StatNames:
            server, folder = _split(door, path)
            return StatNames(number, server, folder, tuple(names))

        worker = self.worker(door.audience)
        async with worker.exchange(token.value if token else None, command) as exchange:
            entries: list[dict[str, Any]] = []
            while (frame := await exchange.next()).kind != "end":
                if frame.failure is not None:
                    raise _Failed(frame.failure)
                entries = json.loads(frame.body)
            return entries


def worker_gone() -> NotAnswering:
    """Say that the worker died and trying again did not help."""
    return NotAnswering(
        "xrootd-worker",
        "The program that reads XRootD storage ended unexpectedly. Open the folder again: it"
        " starts anew.",
    )


def _way_to_granted(failure: Failure, door: Door, path: str, token: Token | None) -> Page | None:
    """Return the folders that lead to what the token allows, if the server shows less than them."""
    if failure.reason != "not-allowed" or token is None:
        return None
    names = [name for name in leading_names(token.scope, _split(door, path)[1]) if is_name(name)]
    if not names:
        return None
    items = [Item(name, "directory") for name in names]
    rows = ndjson(items, raw_url_of(door.url, path))
    return Page(len(items), rows, {"left_out": 0})


def _split(door: Door, path: str) -> tuple[str, str]:
    """Return the server's address and the absolute path on it."""
    parts = urlsplit(door.url)
    return f"{parts.scheme}://{parts.netloc}", "/" + parts.path.strip("/") + path
