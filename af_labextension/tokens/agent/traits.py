"""What a site can say about the agent's socket, and how it is made."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitlets import List, TraitError, Unicode, default, validate
from traitlets.config import Configurable

from .server import AgentSocket
from .service import AgentService, Offer

if TYPE_CHECKING:
    from af_labextension.data.doors import Doors
    from af_labextension.hub import HubClient
    from af_labextension.tokens.provider import TokenProvider


class AgentTraits(Configurable):
    """Traits of the extension that are about the agent's socket."""

    agent_socket = Unicode(
        help="""
        UNIX socket on which the extension answers as oidc-agent does.

        With a hub, ``oidc-token`` and every program that uses liboidcagent get their tokens here;
        no refresh token and no client secret is in the Lab. The default is the environment
        variable ``OIDC_SOCK``, where those programs look; empty means no socket. Choose a path
        below 108 bytes in a folder that nobody else can write to. Without a hub the variable
        belongs to the user's own agent, and the extension leaves it alone.
        """,
    ).tag(config=True)

    agent_accounts = List(
        Unicode(),
        ["af"],
        help="""
        Names by which programs may ask for the account, the first one being the name that is told.

        ``oidc-token NAME`` works with each of them, and with the issuer's address. Add the name
        that your users' scripts have used so far; it is always the user's own login.
        """,
    ).tag(config=True)

    @default("agent_socket")
    def _default_agent_socket(self) -> str:
        return os.environ.get("OIDC_SOCK", "")

    @validate("agent_accounts")
    def _valid_accounts(self, proposal: Any) -> Any:
        if not proposal["value"] or not all(proposal["value"]):
            raise TraitError("agent_accounts needs at least one name, and no empty ones")
        return proposal["value"]

    def make_agent(
        self, hub: HubClient | None, doors: Doors, tokens: TokenProvider
    ) -> AgentSocket | None:
        """Return the socket, if there is to be one."""
        if hub is None or not self.agent_socket:
            return None

        async def offer() -> Offer:
            return offer_of(await hub.lab_config(), await doors.first_audience())

        service = AgentService(tokens, offer, self.agent_accounts)
        return AgentSocket(Path(self.agent_socket), service.answer)


def offer_of(config: dict[str, Any], first: str | None) -> Offer:
    """Read from the hub's view of the facility what there are tokens for.

    Parameters
    ----------
    config
        What ``GET <hub>/api/af/lab`` answers.
    first
        Name of the audience of the first door.
    """
    identity = config.get("identity")
    identity = identity if isinstance(identity, dict) else {}
    listed = identity.get("audiences")
    audiences = {
        str(item["name"]): str(item["audience"])
        for item in (listed if isinstance(listed, list) else [])
        if isinstance(item, dict) and {"name", "audience"} <= item.keys()
    }
    return Offer(str(identity.get("issuer") or ""), audiences, first or next(iter(audiences), None))
