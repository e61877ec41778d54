"""What a user's own server may ask, and nobody else."""

from __future__ import annotations

from typing import Any

from jupyterhub.apihandlers.base import APIHandler
from tornado import web

from af_hub.iam.scopes import TOKEN_SCOPE
from af_hub.servers import server_of


class OwnServerHandler(APIHandler):  # type: ignore[misc]  # untyped upstream
    """Know the server that asks by its token."""

    def asking_server(self) -> Any:
        """Find the running server whose token the request carries.

        Returns
        -------
        Spawner
            JupyterHub's spawner of that server.

        Raises
        ------
        web.HTTPError
            401 without a token, 403 for a token that is not a running server's own.
        """
        user, token = self.current_user, self.get_auth_token()
        if user is None or not token:
            raise web.HTTPError(401, "Send the token of your server.")
        own = {TOKEN_SCOPE, f"{TOKEN_SCOPE}!user={user.name}"}
        if own & set(self.expanded_scopes) and hasattr(user, "spawners"):
            spawner = server_of(user, token)
            if spawner is not None:
                return spawner
        raise web.HTTPError(403, "This is for the token of a running server only.")
