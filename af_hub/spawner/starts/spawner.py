"""A spawner of which many can start at once while the hub still answers others."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy.orm import object_session
from traitlets.config import LoggingConfigurable

from af_hub.spawner.starts.turns import Turns


class PacedSpawner(LoggingConfigurable):
    """Mixin for spawners: cut what JupyterHub does before a start into pieces, one a round.

    JupyterHub writes to its database six times before a spawner may wait for anything: with a file
    of SQLite these are 9 ms of processor time, so 500 starts that are asked for at once would hold
    the loop for more than four seconds. `af_hub.spawner.starts.handlers` has them come one by one;
    these two are the places where JupyterHub waits for a spawner in between. (A function in
    `server_token_scopes` would come earlier, but JupyterHub makes a task of it while its session is
    not saved.)
    """

    # what it uses of JupyterHub's Spawner, which is untyped
    orm_spawner: Any

    turns: ClassVar[Turns] = Turns()
    """Keeps starts from going on all at once."""

    async def take_turn(self) -> None:
        """Wait until this start may go on.

        What is not written yet is written before: all requests share one session, and JupyterHub
        rolls back what it finds unsaved when any of them ends.
        """
        session = object_session(self.orm_spawner) if self.orm_spawner else None
        if session is not None and (session.dirty or session.new):
            session.commit()
        await self.turns.take()

    async def _get_oauth_client_allowed_scopes(self) -> Any:
        """Take a turn before the server's OAuth client is made."""
        await self.take_turn()
        return await super()._get_oauth_client_allowed_scopes()  # type: ignore[misc]  # JupyterHub's

    async def run_auth_state_hook(self, auth_state: Any) -> None:
        """Take a turn before the start itself is prepared."""
        await self.take_turn()
        await super().run_auth_state_hook(auth_state)  # type: ignore[misc]  # JupyterHub's
