"""``GET af/rucio…``: scopes, search, contents, replicas, code."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from jupyter_server.auth.decorator import authorized
from tornado.web import authenticated

from af_labextension import settings
from af_labextension.data.snippets import library_named
from af_labextension.errors import BadRequest
from af_labextension.rows import Page
from af_labextension.streaming import StreamingHandler

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
from .refusals import garbage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from af_labextension.data.snippets import Library
    from af_labextension.handler import FacilityHandler

    from .client import Batch, RucioClient
    from .model import Did, Kind
    from .reading import Reader
    from .settings import RucioPlace

_Choice = TypeVar("_Choice", bound=str)

MOST_CHILDREN = 1_000_000
"""Rows of one list: more is no list that anybody looks at."""


class RucioHandler(StreamingHandler):
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
        from .reading import Reader  # noqa: PLC0415 - not in each start

        return Reader(self.rucio, self.place, self.settings[settings.DOORS])

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


async def _pages(
    batches: AsyncGenerator[Batch, None],
    row_as_line: Callable[[Mapping[str, Any]], str],
    limit: int,
) -> AsyncGenerator[Page, None]:
    """Write Rucio's rows as lines, `limit` at most; ``truncated`` tells that there are more."""
    count = 0
    async with aclosing(batches):
        async for batch in batches:
            truncated = count + len(batch) > limit
            rows = batch[: limit - count]
            count += len(rows)
            yield Page(len(rows), _lines(rows, row_as_line), {"truncated": truncated})
            if truncated:
                return
    yield Page(0, b"", {"truncated": False})


def _lines(rows: Batch, row_as_line: Callable[[Mapping[str, Any]], str]) -> bytes:
    """Write rows as lines."""
    try:
        return "".join(map(row_as_line, rows)).encode()
    except (ValueError, KeyError, TypeError) as error:
        raise garbage(f"{type(error).__name__}: {error}") from error


class SearchHandler(RucioHandler):
    """``GET af/rucio/search?scope=&name=&type=``."""

    @authenticated
    @authorized
    async def get(self) -> None:
        """Stream ``{"scope", "name", "type", "bytes", "files"}``."""
        scope = checked_scope(self.argument("scope"))
        pattern = search_pattern(self.argument("name"))
        kind = self.choice("type", SEARCH_TYPES, "collection")
        found = self.rucio.search(scope, pattern, kind)
        await self.stream(_pages(found, collection_row, SEARCH_LIMIT))


class ChildrenHandler(RucioHandler):
    """``GET af/rucio/children?scope=&name=&type=``."""

    @authenticated
    @authorized
    async def get(self) -> None:
        """Stream a container's contents, or a dataset's files with their events."""
        did = self.did()
        if self.choice("type", COLLECTIONS) == "container":
            await self.stream(_pages(self.rucio.contents(did), collection_row, MOST_CHILDREN))
        else:
            await self.stream(_pages(self.rucio.files(did), file_row, MOST_CHILDREN))


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
