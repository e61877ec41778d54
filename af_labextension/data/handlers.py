"""``af/storage…``: doors, folders, sizes, reading code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import authorized
from tornado.web import authenticated

from af_labextension import settings
from af_labextension.errors import BadRequest
from af_labextension.streaming import StreamingHandler

from .paths import is_name, normalise
from .snippets import address_of, library_named, reading_code

if TYPE_CHECKING:
    from af_labextension.handler import FacilityHandler

    from .doors import Doors
    from .sources import Sources

MOST_NAMES = 200
"""Names of one ``stat``: more than any screen shows."""


class StorageHandler(StreamingHandler):
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
        """Return the query's ``path`` in its one form.

        Raises
        ------
        BadRequest
            ``bad-path``, ``bad-query``.
        """
        return normalise(self.argument("path"))


class DoorsHandler(StorageHandler):
    """``GET af/storage``."""

    @authenticated
    @authorized
    async def get(self) -> None:
        """Answer ``{"doors": [{"name", "title", "url", "kind"}]}``."""
        self.finish({"doors": [door.as_json() for door in await self.doors.all()]})


class ListHandler(StorageHandler):
    """``GET af/storage/<door>/list?path=``."""

    @authenticated
    @authorized
    async def get(self, door_name: str) -> None:
        """Stream rows; the last line tells ``count`` and ``left_out``."""
        path = self.path_argument()
        door = await self.doors.find(door_name)
        await self.stream(self.sources.of(door).pages(door, path))


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


def handlers() -> list[tuple[str, type[FacilityHandler]]]:
    """Return the routes, relative to the server's base URL."""
    return [
        (r"/af/storage", DoorsHandler),
        (r"/af/storage/([^/]+)/list", ListHandler),
        (r"/af/storage/([^/]+)/stat", StatHandler),
        (r"/af/storage/([^/]+)/code", CodeHandler),
    ]
