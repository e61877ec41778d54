"""``af/storage…``: doors, folders, sizes, reading code."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from jupyter_server.auth.decorator import authorized
from tornado.iostream import StreamClosedError
from tornado.web import authenticated

from af_labextension import settings
from af_labextension.errors import BadRequest, LabError
from af_labextension.handler import FacilityHandler

from .paths import is_name, normalise
from .snippets import address_of, library_named, reading_code

if TYPE_CHECKING:
    from .doors import Door, Doors
    from .sources import Sources

MOST_NAMES = 200
"""Names of one ``stat``: more than any screen shows."""


class StorageHandler(FacilityHandler):
    """What the storage routes share."""

    @property
    def doors(self) -> Doors:
        """The doors that this Lab knows."""
        doors: Doors = self.settings[settings.DOORS]
        return doors

    @property
    def sources(self) -> Sources:
        """What looks into the doors."""
        sources: Sources = self.settings[settings.SOURCES]
        return sources

    def path_argument(self) -> str:
        """Return the query's ``path`` in its one form; tornado's own reader would change names.

        Raises
        ------
        BadRequest
            ``bad-path``.
        """
        try:
            query = parse_qs(self.request.query, keep_blank_values=True, errors="strict")
        except ValueError as error:
            raise BadRequest("bad-path", "This path is not UTF-8.") from error
        return normalise(query.get("path", [""])[-1])


class DoorsHandler(StorageHandler):
    """``GET af/storage``."""

    @authenticated
    @authorized
    async def get(self) -> None:
        """Answer ``{"doors": [{"name", "title", "url", "kind"}]}``."""
        self.finish({"doors": [door.as_json() for door in await self.doors.all()]})


class ListHandler(StorageHandler):
    """``GET af/storage/<door>/list?path=``."""

    _listing: asyncio.Task[None] | None = None

    @authenticated
    @authorized
    async def get(self, door_name: str) -> None:
        """Stream rows as NDJSON; the last line says ``done`` or tells the error.

        An error before the first row is an ordinary answer with its status.
        """
        path = self.path_argument()
        door = await self.doors.find(door_name)
        listing = asyncio.create_task(self._list(door, path))
        self._listing = listing
        try:
            await listing
        except asyncio.CancelledError:
            if not listing.cancelled():
                listing.cancel()
                raise
            # the browser went to another folder

    def on_connection_close(self) -> None:
        """Stop the listing when the browser leaves, also while the storage is still thinking."""
        if self._listing is not None:
            self._listing.cancel()

    async def _list(self, door: Door, path: str) -> None:
        """Send the rows of a folder and the last line."""
        count = left_out = 0
        try:
            async with aclosing(self.sources.of(door).pages(door, path)) as pages:
                async for page in pages:
                    count += page.count
                    left_out = page.left_out
                    await self._lines(page.ndjson)
        except LabError as error:
            if not count:
                raise
            self.log_exception(type(error), error, None)
            await self._lines(_line({"error": error.as_json()}))
        except StreamClosedError:
            return
        else:
            await self._lines(_line({"done": True, "count": count, "left_out": left_out}))
        self.finish(set_content_type="application/x-ndjson")

    async def _lines(self, lines: bytes) -> None:
        """Send lines, and wait until the browser took them: memory stays small."""
        if lines:
            self.set_header("Content-Type", "application/x-ndjson")
            self.write(lines)
            await self.flush()


class StatHandler(StorageHandler):
    """``POST af/storage/<door>/stat``."""

    @authenticated
    @authorized
    async def post(self, door_name: str) -> None:
        """Take ``{"path", "names"}``, answer ``{"entries": [{"name", "type", "size", "modified"}]}``.

        Names that are gone are left out.
        """
        body = self.get_json_body()
        path, names = _stat_arguments(body)
        door = await self.doors.find(door_name)
        self.finish({"entries": await self.sources.of(door).stat(door, path, names)})


class CodeHandler(StorageHandler):
    """``GET af/storage/<door>/code?path=&library=``."""

    @authenticated
    @authorized
    async def get(self, door_name: str) -> None:
        """Answer ``{"code", "url"}``."""
        path = self.path_argument()
        door = await self.doors.find(door_name)
        library = library_named(self.get_argument("library", "uproot"))
        code = reading_code(door, path, library)
        self.finish({"code": code, "url": address_of(door, path)})


def _stat_arguments(body: Any) -> tuple[str, list[str]]:
    """Check what the browser sent.

    Raises
    ------
    BadRequest
        ``bad-path`` or ``bad-names``.
    """
    if not isinstance(body, dict) or not isinstance(body.get("path"), str):
        raise BadRequest("bad-path", "The request names no path.")
    names = body.get("names")
    if (
        not isinstance(names, list)
        or len(names) > MOST_NAMES
        or not all(isinstance(name, str) and len(name) <= 1024 and is_name(name) for name in names)
    ):
        raise BadRequest("bad-names", f"The request needs a list of at most {MOST_NAMES} names.")
    return normalise(body["path"]), names


def _line(row: dict[str, Any]) -> bytes:
    """Write one row."""
    return json.dumps(row, ensure_ascii=False).encode("utf-8") + b"\n"


def handlers() -> list[tuple[str, type[FacilityHandler]]]:
    """Return the routes, relative to the server's base URL."""
    return [
        (r"/af/storage", DoorsHandler),
        (r"/af/storage/([^/]+)/list", ListHandler),
        (r"/af/storage/([^/]+)/stat", StatHandler),
        (r"/af/storage/([^/]+)/code", CodeHandler),
    ]
