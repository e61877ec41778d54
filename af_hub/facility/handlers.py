"""``GET /hub/api/af/lab``: what a Lab is told about the facility."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jupyterhub.apihandlers.base import APIHandler
from tornado import web

from af_hub.facility.view import HubAddresses, Person, Server, lab_view
from af_hub.iam.scopes import TOKEN_SCOPE
from af_hub.servers import server_of

if TYPE_CHECKING:
    from af_hub.facility.models import FacilityConfig
    from af_hub.spawner.record import Record


class LabHandler(APIHandler):  # type: ignore[misc]  # untyped upstream
    """Answer a user's own server, and nobody else.

    Parameters
    ----------
    facility
        The facility.
    """

    def initialize(self, facility: FacilityConfig) -> None:
        """Take the facility from the application's settings."""
        self.facility = facility

    async def get(self) -> None:
        """Describe the facility as `lab_view` does.

        Raises
        ------
        web.HTTPError
            401 without a token, 403 for a token that is not a running server's own.
        """
        spawner = self._asking_server()
        record: Record | None = getattr(spawner, "record", None)
        user = self.current_user
        auth_state = await user.get_auth_state() or {}
        groups = auth_state.get("groups")
        if not isinstance(groups, list):
            groups = [group.name for group in user.groups]
        answer = lab_view(
            self.facility,
            Person(user.name, str(auth_state.get("name") or user.name), tuple(sorted(groups))),
            Server(
                name=spawner.name,
                profile=record.profile if record else "",
                started_at=record.started_at if record else None,
                expires_at=record.expires_at if record else None,
            ),
            HubAddresses(self._public_hub()),
        )
        self.set_header("Cache-Control", "no-store")
        self.write(json.dumps(answer))

    def _asking_server(self) -> Any:
        """Find the running server whose token the request carries."""
        user, token = self.current_user, self.get_auth_token()
        if user is None or not token:
            raise web.HTTPError(401, "Send the token of your server.")
        own = {TOKEN_SCOPE, f"{TOKEN_SCOPE}!user={user.name}"}
        if own & set(self.expanded_scopes) and hasattr(user, "spawners"):
            spawner = server_of(user, token)
            if spawner is not None:
                return spawner
        raise web.HTTPError(403, "This is for the token of a running server only.")

    def _public_hub(self) -> str:
        """Give the hub's address for a browser: a full one if it is known, else its path."""
        public = self.settings.get("public_url")
        path = str(self.hub.base_url)
        return f"{public.scheme}://{public.netloc}{path}" if public else path
