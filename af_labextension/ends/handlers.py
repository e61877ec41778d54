"""``POST af/ends``: the user does something in the page, or wants to keep the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from jupyter_server.auth.decorator import authorized
from tornado.web import authenticated

from af_labextension import settings
from af_labextension.errors import BadRequest
from af_labextension.handler import FacilityHandler

if TYPE_CHECKING:
    from .service import EndsService


class EndsHandler(FacilityHandler):
    """Say that the server is in use."""

    # Jupyter Server's account of activity, which JupyterHub gets, should know it, too
    _track_activity = True

    @authenticated
    @authorized
    async def post(self) -> None:
        """Take ``{"what": "used"}`` or ``{"what": "keep"}``; answer when the server will end.

        Raises
        ------
        BadRequest
            It is something else.
        """
        ends = cast("EndsService", self.settings[settings.ENDS])
        body = self.get_json_body()
        what = body.get("what") if isinstance(body, dict) else None
        if what == "keep":
            await ends.keep()
        elif what == "used":
            ends.used()
        else:
            raise BadRequest("bad-request", "Say what: used or keep.")
        self.finish(ends.as_json())


def handlers() -> list[tuple[str, type[FacilityHandler]]]:
    """Return the routes, relative to the server's base URL."""
    return [(r"/af/ends", EndsHandler)]
