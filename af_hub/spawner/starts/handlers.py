"""JupyterHub's own pages that start a server, for one request in a round of the loop."""

from __future__ import annotations

from typing import Final

from jupyterhub.apihandlers.users import UserServerAPIHandler
from jupyterhub.apihandlers.users import default_handlers as api_handlers
from jupyterhub.handlers.pages import SpawnHandler
from jupyterhub.handlers.pages import default_handlers as page_handlers

from af_hub.spawner.starts.spawner import PacedSpawner


class _Paced:
    """Mixin for request handlers: take a turn before anything is done."""

    async def prepare(self) -> None:
        """Wait until this request may go on, and find out who asks."""
        await PacedSpawner.turns.take(first=True)
        await super().prepare()  # type: ignore[misc]  # JupyterHub's


class PacedSpawnHandler(_Paced, SpawnHandler):  # type: ignore[misc]  # untyped upstream
    """``/hub/spawn``."""


class PacedServerHandler(_Paced, UserServerAPIHandler):  # type: ignore[misc]  # untyped upstream
    """``/hub/api/users/NAME/server`` and ``…/servers/NAME``."""


_OURS = {SpawnHandler: PacedSpawnHandler, UserServerAPIHandler: PacedServerHandler}

STARTS: Final = tuple(
    (pattern, _OURS[handler])
    for pattern, handler, *_ in (*page_handlers, *api_handlers)
    if handler in _OURS
)
"""Routes that stand before JupyterHub's of the same pattern, as an authenticator's do.

A start is 10 to 20 ms of processor time, most of it before it waits for anything; five hundred that
come at once are worked on in one round otherwise, and nobody else is answered for seconds.
"""
