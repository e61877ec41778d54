"""A spawner of which many can start at once while the hub still answers others."""

from __future__ import annotations

from typing import Any, ClassVar

from traitlets import default
from traitlets.config import LoggingConfigurable

from af_hub.spawner.turns import Turns


class PacedSpawner(LoggingConfigurable):
    """Mixin for spawners: cut what JupyterHub does before a start into pieces, one a round.

    JupyterHub writes to its database six times before a spawner may wait for anything: with a file
    of SQLite these are 9 ms of processor time, so 500 starts that are asked for at once would hold
    the loop for more than four seconds. These three are the places where it waits for a spawner.
    """

    turns: ClassVar[Turns] = Turns()
    """Keeps starts from going on all at once."""

    @default("server_token_scopes")
    def _default_server_token_scopes(self) -> Any:
        """Take a turn before the server's token is made; none asks for those of the role ``server``."""
        return PacedSpawner._scopes_of_the_role

    async def _scopes_of_the_role(self) -> list[str]:
        await self.turns.take()
        return []

    async def _get_oauth_client_allowed_scopes(self) -> Any:
        """Take a turn before the server's OAuth client is made."""
        await self.turns.take()
        return await super()._get_oauth_client_allowed_scopes()  # type: ignore[misc]  # JupyterHub's

    async def run_auth_state_hook(self, auth_state: Any) -> None:
        """Take a turn before the start itself is prepared."""
        await self.turns.take()
        await super().run_auth_state_hook(auth_state)  # type: ignore[misc]  # JupyterHub's
