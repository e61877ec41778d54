"""``GET af/storage…``: doors, folders, reading code."""

from __future__ import annotations

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

from .paths import normalise, url_of
from .snippets import reading_code

if TYPE_CHECKING:
    from .doors import Doors
    from .webdav import WebDAV


class StorageHandler(FacilityHandler):
    """What the storage routes share."""

    @property
    def doors(self) -> Doors:
        """The doors that this Lab knows."""
        doors: Doors = self.settings[settings.DOORS]
        return doors

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
        """Answer ``{"doors": [{"name", "title", "url"}]}``."""
        self.finish({"doors": [door.as_json() for door in await self.doors.all()]})


class ListHandler(StorageHandler):
    """``GET af/storage/<door>/list?path=``."""

    @authenticated
    @authorized
    async def get(self, door_name: str) -> None:
        """Stream rows as NDJSON; the last line says ``done`` or tells the error.

        An error before the first row is an ordinary answer with its status.
        """
        path = self.path_argument()
        door = await self.doors.find(door_name)
        webdav: WebDAV = self.settings[settings.WEBDAV]
        count = left_out = 0
        try:
            async with aclosing(webdav.entries(door, path)) as batches:
                async for batch in batches:
                    count += len(batch.entries)
                    left_out = batch.left_out
                    await self._rows([entry.as_json() for entry in batch.entries])
        except LabError as error:
            if not count:
                raise
            self.log_exception(type(error), error, None)
            await self._rows([{"error": error.as_json()}])
        except StreamClosedError:
            return  # the browser went to another folder
        else:
            await self._rows([{"done": True, "count": count, "left_out": left_out}])
        self.finish(set_content_type="application/x-ndjson")

    async def _rows(self, rows: list[dict[str, Any]]) -> None:
        """Send rows, and wait until the browser took them: memory stays small."""
        if rows:
            self.set_header("Content-Type", "application/x-ndjson")
            self.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
            await self.flush()


class CodeHandler(StorageHandler):
    """``GET af/storage/<door>/code?path=``."""

    @authenticated
    @authorized
    async def get(self, door_name: str) -> None:
        """Answer ``{"code", "url"}``."""
        path = self.path_argument()
        door = await self.doors.find(door_name)
        self.finish({"code": reading_code(door, path), "url": url_of(door.url, path)})


def handlers() -> list[tuple[str, type[FacilityHandler]]]:
    """Return the routes, relative to the server's base URL."""
    return [
        (r"/af/storage", DoorsHandler),
        (r"/af/storage/([^/]+)/list", ListHandler),
        (r"/af/storage/([^/]+)/code", CodeHandler),
    ]
