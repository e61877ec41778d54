"""``GET /hub/api/af/lab``: what a Lab is told about the facility."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from af_hub.facility.own_server import OwnServerHandler
from af_hub.facility.view import HubAddresses, Person, Server, lab_view

if TYPE_CHECKING:
    from af_hub.facility.models import FacilityConfig
    from af_hub.spawner.record import Record


class LabHandler(OwnServerHandler):
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
        spawner = self.asking_server()
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
                limits=tuple(each.as_json() for each in record.limits.all()) if record else (),
            ),
            HubAddresses(self._public_hub()),
        )
        self.set_header("Cache-Control", "no-store")
        self.write(json.dumps(answer))

    def _public_hub(self) -> str:
        """Give the hub's address for a browser: a full one if it is known, else its path."""
        public = self.settings.get("public_url")
        path = str(self.hub.base_url)
        return f"{public.scheme}://{public.netloc}{path}" if public else path
