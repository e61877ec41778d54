"""``af/memory``: what the guard has done."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from jupyter_server.auth.decorator import authorized
from tornado.web import authenticated

from af_labextension import settings
from af_labextension.handler import FacilityHandler

if TYPE_CHECKING:
    from jupyter_server.base.handlers import JupyterHandler

    from .service import MemoryService


class MemoryHandler(FacilityHandler):
    """``GET af/memory``."""

    @authenticated
    @authorized
    async def get(self) -> None:
        """Answer ``{"notices": [Notice]}``, the oldest first."""
        memory = cast("MemoryService", self.settings[settings.MEMORY])
        self.finish({"notices": memory.notices})


def handlers() -> list[tuple[str, type[JupyterHandler]]]:
    """Return the routes."""
    return [(r"/af/memory", MemoryHandler)]
