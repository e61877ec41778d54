"""``GET af/rucio…``: scopes, search, contents, replicas, code."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qs

from jupyter_server.auth.decorator import authorized
from tornado.iostream import StreamClosedError
from tornado.web import authenticated

from af_labextension import settings
from af_labextension.data.snippets import library_named
from af_labextension.errors import BadRequest, LabError
from af_labextension.handler import FacilityHandler

from .client import MOST_DIDS
from .model import (
    COLLECTIONS,
    KINDS,
    SEARCH_LIMIT,
    SEARCH_TYPES,
    checked_scope,
    collection_row,
    did_from,
    file_row,
    search_pattern,
)
from .reading import Reader
from .refusals import garbage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping

    from af_labextension.data.snippets import Library

    from .client import Batch, RucioClient
    from .model import Did, Kind
    from .settings import RucioPlace

_Choice = TypeVar("_Choice", bound=str)

MOST_CHILDREN = 1_000_000
"""Rows of one list: more is no list that anybody looks at."""


class RucioHandler(FacilityHandler):
    """What the Rucio routes share."""

    @property
    def rucio(self) -> RucioClient:
        """The client."""
        client: RucioClient = self.settings[settings.RUCIO]
        return client

    @property
    def place(self) -> RucioPlace:
        """Where Rucio is."""
        place: RucioPlace = self.settings[settings.RUCIO_PLACE]
        return place

    @property
    def reader(self) -> Reader:
        """Finds replicas and writes code."""
        return Reader(self.rucio, self.place, self.settings[settings.DOORS])

    _work: asyncio.Task[None] | None = None

    async def attended(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what may take long, as long as the browser waits for it."""
        self._work = asyncio.create_task(work)
        with suppress(asyncio.CancelledError, StreamClosedError):  # the browser went on
            await self._work

    def on_connection_close(self) -> None:
        """End the requests to Rucio: nobody reads their answers any more."""
        super().on_connection_close()
        if self._work is not None:
            self._work.cancel()

    def argument(self, name: str, default: str = "") -> str:
        """Return a value of the query to the letter; tornado's own reader would strip it.

        Raises
        ------
        BadRequest
            ``bad-query``.
        """
        try:
            query = parse_qs(self.request.query, keep_blank_values=True, errors="strict")
        except ValueError as error:
            raise BadRequest("bad-query", "This question is not UTF-8.") from error
        return query.get(name, [default])[-1]

    def choice(self, name: str, choices: tuple[_Choice, ...], default: str = "") -> _Choice:
        """Return a value of the query that is one of a few.

        Raises
        ------
        BadRequest
            ``bad-query``.
        """
        value = self.argument(name, default)
        for choice in choices:
            if value == choice:
                return choice
        raise BadRequest("bad-query", f"{name} must be one of: {', '.join(choices)}.")

    def did(self) -> Did:
        """Return the DID that the query names."""
        return did_from(self.argument("scope"), self.argument("name"))


class PlaceHandler(RucioHandler):
    """``GET af/rucio``."""

    @authenticated
    @authorized
    async def get(self) -> None:
        """Answer ``{"available", "url", "account"}`` without asking Rucio."""
        server = await self.place.find()
        self.finish(
            {
                "available": server is not None,
                "url": server.url if server else None,
                "account": server.account if server else None,
            }
        )


class ScopesHandler(RucioHandler):
    """``GET af/rucio/scopes``."""

    @authenticated
    @authorized
    async def get(self) -> None:
        """Answer ``{"scopes": […]}``."""
        self.finish({"scopes": await self.rucio.scopes()})


class RowsHandler(RucioHandler):
    """A list that is streamed as NDJSON."""

    async def stream(
        self,
        batches: AsyncGenerator[Batch, None],
        as_line: Callable[[Mapping[str, Any]], str],
        limit: int,
    ) -> None:
        """Send rows; the last line says ``done`` or tells the error.

        An error before the first row is an ordinary answer with its status.

        Parameters
        ----------
        as_line
            Writes a row of Rucio's as a line.
        limit
            Rows at most; ``truncated`` tells that there are more.
        """
        await self.attended(self._send_all(batches, as_line, limit))

    async def _send_all(
        self,
        batches: AsyncGenerator[Batch, None],
        as_line: Callable[[Mapping[str, Any]], str],
        limit: int,
    ) -> None:
        count, truncated = 0, False
        try:
            async with aclosing(batches):
                async for batch in batches:
                    truncated = count + len(batch) > limit
                    rows = batch[: limit - count] if truncated else batch
                    await self._send(_lines(rows, as_line))
                    count += len(rows)
                    if truncated:
                        break
        except LabError as error:
            if not count:
                raise
            self.log_exception(type(error), error, None)
            await self._send(json.dumps({"error": error.as_json()}) + "\n")
        else:
            done = {"done": True, "count": count, "truncated": truncated}
            await self._send(json.dumps(done) + "\n")
        self.finish(set_content_type="application/x-ndjson")

    async def _send(self, lines: str) -> None:
        """Send lines, and wait until the browser took them: memory stays small."""
        self.set_header("Content-Type", "application/x-ndjson")
        self.write(lines)
        await self.flush()


def _lines(rows: Batch, as_line: Callable[[Mapping[str, Any]], str]) -> str:
    """Write rows as lines."""
    try:
        return "".join(map(as_line, rows))
    except (ValueError, KeyError, TypeError) as error:
        raise garbage(f"{type(error).__name__}: {error}") from error


class SearchHandler(RowsHandler):
    """``GET af/rucio/search?scope=&name=&type=``."""

    @authenticated
    @authorized
    async def get(self) -> None:
        """Stream ``{"scope", "name", "type", "bytes", "files"}``."""
        scope = checked_scope(self.argument("scope"))
        pattern = search_pattern(self.argument("name"))
        kind = self.choice("type", SEARCH_TYPES, "collection")
        await self.stream(self.rucio.search(scope, pattern, kind), collection_row, SEARCH_LIMIT)


class ChildrenHandler(RowsHandler):
    """``GET af/rucio/children?scope=&name=&type=``."""

    @authenticated
    @authorized
    async def get(self) -> None:
        """Stream a container's contents, or a dataset's files with their events."""
        did = self.did()
        if self.choice("type", COLLECTIONS) == "container":
            await self.stream(self.rucio.contents(did), collection_row, MOST_CHILDREN)
        else:
            await self.stream(self.rucio.files(did), file_row, MOST_CHILDREN)


class ReplicasHandler(RucioHandler):
    """``POST af/rucio/replicas``."""

    @authenticated
    @authorized
    async def post(self) -> None:
        """Answer ``{"replicas": […]}`` for ``{"dids": [{"scope", "name"}]}``."""
        dids = self._dids()
        await self.attended(self._answer(dids))

    async def _answer(self, dids: list[Did]) -> None:
        found = await self.reader.replicas(dids) if dids else []
        self.finish({"replicas": [entry.as_json() for entry in found]})

    def _dids(self) -> list[Did]:
        body = self.get_json_body()
        entries = body.get("dids") if isinstance(body, dict) else None
        if not isinstance(entries, list) or len(entries) > MOST_DIDS:
            raise BadRequest("bad-dids", f"dids must be a list of at most {MOST_DIDS} names.")
        if not all(isinstance(entry, dict) for entry in entries):
            raise BadRequest("bad-dids", "Each of dids must have scope and name.")
        return [did_from(entry.get("scope"), entry.get("name")) for entry in entries]


class CodeHandler(RucioHandler):
    """``GET af/rucio/code?scope=&name=&type=&library=``."""

    @authenticated
    @authorized
    async def get(self) -> None:
        """Answer ``{"code", "url", "files", "left_out", "fileset"}``."""
        if self.request.headers.get("Sec-Fetch-Site") == "cross-site":
            # it may write a file, which no foreign page shall make a browser ask for
            raise BadRequest("cross-site", "This can be asked from the Lab only.")
        did = self.did()
        kind = self.choice("type", KINDS)
        library = library_named(self.argument("library", "uproot"))
        await self.attended(self._answer(did, kind, library))

    async def _answer(self, did: Did, kind: Kind, library: Library) -> None:
        reading = await self.reader.code(did, kind, library, self._root())
        self.finish(reading.as_json())

    def _root(self) -> Path:
        """Return the folder that the Lab shows."""
        return Path(self.settings["server_root_dir"]).expanduser()


def handlers() -> list[tuple[str, type[FacilityHandler]]]:
    """Return the routes, relative to the server's base URL."""
    return [
        (r"/af/rucio", PlaceHandler),
        (r"/af/rucio/scopes", ScopesHandler),
        (r"/af/rucio/search", SearchHandler),
        (r"/af/rucio/children", ChildrenHandler),
        (r"/af/rucio/replicas", ReplicasHandler),
        (r"/af/rucio/code", CodeHandler),
    ]
