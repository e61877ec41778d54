"""List folders of a storage door with the user's token."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from af_labextension.errors import BadRequest, LabError, NotAnswering, Refused
from af_labextension.http import HttpClient, without_query
from af_labextension.rows import Page, as_line

from .listing import PROPFIND_BODY, Listing
from .paths import url_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from af_labextension.tokens.model import Token
    from af_labextension.tokens.provider import TokenProvider

    from .doors import Door
    from .listing import Entry

log = logging.getLogger(__name__)

LARGEST_LISTING = 256 * 1024 * 1024
"""Bytes of one PROPFIND answer: half a million entries at 447 bytes each (XRootD)."""

LISTING_TIMEOUT = 300.0
"""Seconds. An XCache before 5.8.2 asks its origin for each entry before it sends the first byte."""

_PIECES = 4
"""Pieces of at most 64 KiB that wait between the storage and the browser."""


class _TokenRefused(Refused):
    """The door did not take the token."""


class WebDAV:
    """A WebDAV client that can do one thing: PROPFIND with Depth 1.

    Parameters
    ----------
    tokens
        Where tokens come from.
    ca_file
        Authorities for https, ``None`` for the system's or those of ``SSL_CERT_FILE``.
    """

    def __init__(self, tokens: TokenProvider, *, ca_file: str | None = None) -> None:
        self._tokens = tokens
        self._http = HttpClient(ca_file=ca_file, max_body_size=LARGEST_LISTING)
        self._requests: set[asyncio.Task[int]] = set()

    async def pages(self, door: Door, path: str) -> AsyncGenerator[Page, None]:
        """Give the entries of a folder, in pages as they come over the wire.

        A token that the door refuses is replaced once; a connection that fails before the first
        entry is tried once more.

        Parameters
        ----------
        path
            Normalised path below the door.

        Raises
        ------
        Refused
            The door said no, or there is no such folder.
        NotAnswering
            The door does not answer, or with something that is no listing.
        """
        token = await self._tokens.token(door.audience) if door.audience else None
        renewed = retried = begun = False
        while True:
            try:
                async with aclosing(self._read(door, path, token)) as pages:
                    async for page in pages:
                        begun = True
                        yield page
            except _TokenRefused as refusal:
                if renewed or token is None or door.audience is None:
                    raise
                renewed = True
                token = await self._another(door.audience, token, refusal)
            except NotAnswering as error:
                if begun or retried or error.code != "unreachable":
                    raise
                retried = True
                await asyncio.sleep(0.3)
            else:
                return

    async def stat(
        self,
        door: Door,
        path: str,  # noqa: ARG002 - as the other protocol has it
        names: list[str],  # noqa: ARG002
    ) -> list[dict[str, Any]]:
        """Refuse: rows of WebDAV tell everything at once.

        Raises
        ------
        BadRequest
            ``no-stat``.
        """
        raise BadRequest("no-stat", f"{door.title} tells sizes with its listing.")

    async def _another(self, audience: str, token: Token, refusal: _TokenRefused) -> Token:
        """Get a newer token in place of a refused one."""
        another = await self._tokens.token(audience, refused=token)
        if another.value == token.value:
            raise refusal
        return another

    async def _read(self, door: Door, path: str, token: Token | None) -> AsyncGenerator[Page, None]:
        """Make one request and parse its answer as it comes."""
        url = url_of(door.url, path)
        listing = Listing(url)
        pipe = _Pipe()
        request = asyncio.create_task(self._ask(url, token, pipe))
        self._requests.add(request)
        request.add_done_callback(self._forget)
        try:
            while (piece := await pipe.get()) is not None:
                if entries := tuple(listing.feed(piece)):
                    yield _page(entries, listing.left_out)
            status = await request
        finally:
            # a browser that left: tornado cannot stop a request, so its rest runs dry
            pipe.close()
        if status != 207:
            raise _refusal(status, door, path)
        listing.close()
        if listing.folder_is_file:
            raise Refused("not-a-folder", f"{path} is a file, not a folder.", status=400)
        yield _page((), listing.left_out)

    async def _ask(self, url: str, token: Token | None, pipe: _Pipe) -> int:
        """Send the PROPFIND; its body goes into the pipe, its status comes back."""
        headers = {"Depth": "1", "Content-Type": "application/xml; charset=utf-8"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token.value.reveal()}"
        try:
            response = await self._http.send(
                "PROPFIND",
                url + "/",  # a folder without the slash is a redirect on many servers
                headers=headers,
                body=PROPFIND_BODY,
                timeout=LISTING_TIMEOUT,
                on_chunk=pipe.put,
            )
            return int(response.code)
        finally:
            await pipe.put(None)

    def _forget(self, request: asyncio.Task[int]) -> None:
        """Let go of a request; a failure that nobody waits for any more is no news."""
        self._requests.discard(request)
        if not request.cancelled():
            request.exception()

    async def close(self) -> None:
        """End the requests under way and close the connections."""
        if self._requests:
            # tornado logs a cancelled fetch as an error, so those that run dry may do so
            await asyncio.wait(self._requests, timeout=1.0)
        for request in tuple(self._requests):
            request.cancel()
        await asyncio.gather(*self._requests, return_exceptions=True)
        self._http.close()


class _Pipe:
    """Pieces on their way from the storage to the reader, few at a time."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(_PIECES)
        self._closed = False

    async def put(self, piece: bytes | None) -> None:
        """Hand over a piece as soon as there is room; ``None`` ends. Dropped after `close`."""
        if not self._closed:
            await self._queue.put(piece)

    async def get(self) -> bytes | None:
        """Wait for the next piece."""
        return await self._queue.get()

    def close(self) -> None:
        """Let the sender run on without a reader."""
        self._closed = True
        while not self._queue.empty():
            self._queue.get_nowait()


def _page(entries: tuple[Entry, ...], left_out: int) -> Page:
    """Write entries as rows; `left_out` are those so far that cannot be shown."""
    rows = b"".join(as_line(entry.as_json()) for entry in entries)
    return Page(len(entries), rows, {"left_out": left_out})


def _refusal(status: int, door: Door, path: str) -> LabError:
    """Say in words what a status other than 207 means."""
    place = f"{path or '/'} in {door.title}"
    detail = f"{without_query(door.url)}: status {status}"
    if status == 401:
        return _TokenRefused(
            "storage-token-refused",
            f"{door.title} does not take your token. Log in again from the hub page; if that does"
            " not help, ask the facility's support.",
            detail=detail,
        )
    if status == 403:
        return Refused(
            "storage-forbidden",
            f"You may not look into {place}. Access follows your groups.",
            detail=detail,
        )
    if status in {404, 410}:
        return Refused("no-such-folder", f"There is no folder {place}.", status=404, detail=detail)
    if status == 429 or status >= 500:
        return NotAnswering(
            "storage-trouble",
            f"{door.title} has trouble now (status {status}). Try again in a moment.",
            detail=detail,
        )
    return Refused(
        "storage-no-listing",
        f"{door.title} does not list {place} (status {status}). Tell the facility's support.",
        status=502,
        detail=detail,
    )
