"""What a site can say about where tokens come from and how programs get them."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitlets import Dict, Enum, List, TraitError, Unicode, default, validate
from traitlets.config import Configurable

from .agent.server import AgentSocket
from .audiences import Audiences, listed_in
from .file_provider import FileTokenProvider
from .provider import CachingTokenProvider

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from af_labextension.data.doors import Doors
    from af_labextension.hub import HubClient
    from af_labextension.rucio.settings import RucioPlace

    from .agent.messages import Request
    from .agent.service import AgentService, Offer
    from .provider import TokenProvider


class TokenTraits(Configurable):
    """Traits of the extension that are about tokens."""

    token_source = Enum(
        ("auto", "hub", "oidc-agent", "file"),
        "auto",
        help="""
        Where tokens come from.

        ``hub``: the facility's broker. ``oidc-agent``: an agent that the user runs with an account
        of its own (never with the hub's refresh token), asked at `agent_socket`. ``file``:
        somebody else keeps `bearer_token_file` fresh. ``auto`` is the hub where there is one, else
        the file where one is named, else the agent.
        """,
    ).tag(config=True)

    bearer_token_file = Unicode(
        help="""
        The bearer-token file (WLCG Bearer Token Discovery).

        With a hub or an oidc-agent the extension keeps it valid: owner-only, replaced as a whole,
        renewed when three quarters of a token's life have gone. With the source ``file`` it only
        reads it, and somebody else renews it. The default is the environment variable
        ``BEARER_TOKEN_FILE``; empty means that no file is kept. Choose a folder in memory (tmpfs)
        that nobody else can write to.
        """,
    ).tag(config=True)

    audience_token_folder = Unicode(
        help="""
        Folder for a token file of each audience: ``<folder>/<audience>``.

        With a hub or an oidc-agent the extension keeps one for each audience: those that storage
        and Rucio need, and the others that the hub or `own_agent_audiences` lists; as it keeps
        `bearer_token_file`. Programs that speak to something else than the first storage find their
        token here; Rucio's client does. The default is the environment variable
        ``AF_TOKEN_DIR``; empty means that none are kept.
        """,
    ).tag(config=True)

    agent_socket = Unicode(
        help="""
        UNIX socket of oidc-agent's protocol.

        With tokens from the hub the extension listens there: ``oidc-token`` and every program that
        uses liboidcagent get the Lab's tokens, and no refresh token or client secret is in the
        Lab. With the source ``oidc-agent`` it is where the user's own agent listens. The default is
        the environment variable ``OIDC_SOCK``, where programs look; empty means no socket. Choose a
        path below 108 bytes in a folder that nobody else can write to.
        """,
    ).tag(config=True)

    agent_accounts = List(
        Unicode(),
        ["af"],
        help="""
        Names by which programs may ask the extension's socket for the account.

        ``oidc-token NAME`` works with each of them, and with the issuer's address; the first one
        is what sentences recommend. Add the name that your users' scripts have used so far. It is
        always the user's own login.
        """,
    ).tag(config=True)

    own_agent_account = Unicode(
        help="""
        Account of the user's own agent that is asked for tokens, by its name or its issuer.

        Used with the source ``oidc-agent`` only. Empty means the first account that is loaded.
        """,
    ).tag(config=True)

    own_agent_audiences = Dict(
        value_trait=Unicode(),
        key_trait=Unicode(),
        help="""
        What an audience's name stands for where the user's own agent is asked.

        Used with the source ``oidc-agent`` only: ``{"storage": "https://xcache.example.org"}``
        makes the agent ask for tokens with that ``aud`` for doors whose audience is ``storage``. A
        name that is not listed gets a token as the account has it.
        """,
    ).tag(config=True)

    @default("bearer_token_file")
    def _default_bearer_token_file(self) -> str:
        return os.environ.get("BEARER_TOKEN_FILE", "")

    @default("audience_token_folder")
    def _default_audience_token_folder(self) -> str:
        return os.environ.get("AF_TOKEN_DIR", "")

    @default("agent_socket")
    def _default_agent_socket(self) -> str:
        return os.environ.get("OIDC_SOCK", "")

    @validate("agent_accounts")
    def _valid_accounts(self, proposal: Any) -> Any:
        if not proposal["value"] or not all(proposal["value"]):
            raise TraitError("agent_accounts needs at least one name, and no empty ones")
        return proposal["value"]

    def source_of_tokens(self, hub: HubClient | None) -> str:
        """Return ``hub``, ``oidc-agent`` or ``file``.

        Raises
        ------
        TraitError
            ``hub`` was asked for and there is none.
        """
        source = str(self.token_source)
        if source == "hub" and hub is None:
            raise TraitError("token_source is hub, but this Lab has none; see hub_api_url")
        if source != "auto":
            return source
        if hub is not None:
            return "hub"
        return "oidc-agent" if self.agent_socket and not self.bearer_token_file else "file"

    def make_tokens(self, hub: HubClient | None) -> CachingTokenProvider | FileTokenProvider:
        """Return where tokens come from."""
        source = self.source_of_tokens(hub)
        if source == "hub" and hub is not None:
            return CachingTokenProvider(hub.token)
        if source == "file":
            return FileTokenProvider(_path(self.bearer_token_file))
        from .agent.client import AgentClient  # noqa: PLC0415 - only where it is asked

        agent = AgentClient(
            _path(self.agent_socket), self.own_agent_account, self.own_agent_audiences
        )
        return CachingTokenProvider(agent.token)

    def make_audiences(
        self,
        lab_config: Callable[[], Awaitable[dict[str, Any]]] | None,
        doors: Doors,
        place: RucioPlace,
    ) -> Audiences:
        """Return what there are tokens for; `lab_config` is ``None`` without tokens of a hub."""

        async def listed() -> Iterable[str]:
            if lab_config is not None:
                return listed_in(await lab_config())
            return self.own_agent_audiences

        return Audiences(doors, place, listed)

    def make_agent(
        self, hub: HubClient | None, audiences: Audiences, tokens: TokenProvider
    ) -> AgentSocket | None:
        """Return the socket for programs, if there is to be one."""
        if hub is None or not self.agent_socket or self.source_of_tokens(hub) != "hub":
            return None

        async def offer() -> Offer:
            return offer_of(await hub.lab_config(), await audiences.first())

        @cache
        def service() -> AgentService:
            from .agent.service import AgentService  # noqa: PLC0415 - when the first program asks

            return AgentService(tokens, offer, self.agent_accounts)

        async def answer(request: Request) -> bytes:
            return await service().answer(request)

        return AgentSocket(Path(self.agent_socket), answer)


def offer_of(config: dict[str, Any], first: str | None) -> Offer:
    """Read from the hub's view of the facility what there are tokens for.

    Parameters
    ----------
    config
        What ``GET <hub>/api/af/lab`` answers.
    first
        Name of the audience that is meant when a program names none.
    """
    from .agent.service import Offer  # noqa: PLC0415 - as above

    identity = config.get("identity")
    issuer = identity.get("issuer") if isinstance(identity, dict) else None
    return Offer(str(issuer or ""), listed_in(config), first)


def _path(text: str) -> Path | None:
    return Path(text) if text else None
