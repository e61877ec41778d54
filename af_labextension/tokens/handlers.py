"""``af/status`` and ``af/renew``: who I am, how long token and server live, and a new try.

``GET af/status`` tells, ``POST af/renew`` asks the hub again at once: the user has logged in anew,
and need not wait until a pause after a failure is over.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import authorized
from tornado.web import authenticated

from af_labextension import settings
from af_labextension.errors import LabError
from af_labextension.handler import FacilityHandler

if TYPE_CHECKING:
    from af_labextension.ends.service import EndsService
    from af_labextension.hub import HubClient

    from .agent.server import AgentSocket
    from .audience_files import AudienceFiles
    from .audiences import Audiences
    from .keeper import TokenKeeper
    from .provider import TokenProvider


_PATIENCE = 2.0
"""Seconds that a status answer waits for a token."""


def _pick(source: object, *names: str) -> dict[str, Any]:
    """Take the named fields of a mapping; what is missing becomes ``None``."""
    mapping = source if isinstance(source, Mapping) else {}
    return {name: mapping.get(name) for name in names}


class _TellsStatus(FacilityHandler):
    """Everything the status bar shows. It never answers with a token."""

    async def tell(self) -> None:
        """Answer even when the hub is away: what is known, and what is wrong."""
        hub: HubClient | None = self.settings[settings.HUB]
        ends: EndsService = self.settings[settings.ENDS]
        config: Mapping[str, Any] = {}
        problem: dict[str, str] | None = None
        if hub is not None:
            try:
                config = await hub.lab_config()
            except LabError as error:
                problem = error.as_json()
        identity = _pick(config.get("identity"), "user", "display_name", "issuer", "groups")
        identity["user"] = (
            identity["user"] or os.environ.get("AF_USER") or self.current_user.username
        )
        identity["issuer"] = identity["issuer"] or os.environ.get("AF_ISSUER")
        identity["groups"] = identity["groups"] or []
        self.finish(
            {
                "identity": identity,
                "tokens": await self._tokens(),
                "programs": self._programs(),
                "server": {
                    **_pick(
                        config.get("server"), "expires_at", "started_at", "stop_url", "profile_url"
                    ),
                    **ends.as_json(),
                },
                "hub": _pick(config.get("hub"), "home_url", "login_url") if hub else None,
                "facility": _pick(config.get("about"), "name", "support", "notice"),
                "problem": problem,
            }
        )

    def _programs(self) -> dict[str, Any]:
        """Tell where programs find tokens, and what is wrong with it."""
        agent: AgentSocket | None = self.settings[settings.AGENT]
        keeper: TokenKeeper | None = self.settings[settings.KEEPER]
        return {
            "file": str(keeper.path) if keeper else None,
            "socket": str(agent.path) if agent else None,
            "account": self.settings[settings.AGENT_ACCOUNT] if agent else None,
            "problem": agent.trouble.as_json() if agent and agent.trouble else None,
        }

    async def _tokens(self) -> list[dict[str, Any]]:
        """Return a row for the first audience, and for the others that have news."""
        tokens: TokenProvider = self.settings[settings.TOKENS]
        keeper: TokenKeeper | None = self.settings[settings.KEEPER]
        files: AudienceFiles | None = self.settings[settings.AUDIENCE_FILES]
        audiences: Audiences = self.settings[settings.AUDIENCES]
        try:
            needed, every = await audiences.needed(), await audiences.all()
        except LabError:
            return []
        rows = []
        for number, audience in enumerate(every):
            if number == 0 and keeper is None:
                # nobody else looks after it in a Lab without a kept file
                with suppress(LabError, TimeoutError):
                    await asyncio.wait_for(tokens.token(audience), _PATIENCE)
            state = tokens.state(audience)
            if number == 0 and keeper is not None:
                state = keeper.refine(state)
            if files is not None:
                state = files.refine(state)
            # unless files are kept, tokens of others are fetched when they are needed: no news yet
            if number == 0 or files is not None or state.state in {"valid", "error"}:
                rows.append({**state.as_json(), "needed": number == 0 or audience in needed})
        return rows


class StatusHandler(_TellsStatus):
    """What is known now."""

    @authenticated
    @authorized
    async def get(self) -> None:
        """Answer at once."""
        await self.tell()


class RenewHandler(_TellsStatus):
    """A new try at once, when the user has done what was asked for."""

    @authenticated
    @authorized
    async def post(self) -> None:
        """Ask for tokens and write their files again, then answer as ``GET af/status`` does."""
        tokens: TokenProvider = self.settings[settings.TOKENS]
        keeper: TokenKeeper | None = self.settings[settings.KEEPER]
        files: AudienceFiles | None = self.settings[settings.AUDIENCE_FILES]
        tokens.retry()
        if keeper is not None:
            await keeper.look()
        if files is not None:
            await files.look_into_files()
        await self.tell()


def handlers() -> list[tuple[str, type[FacilityHandler]]]:
    """Return the routes, relative to the server's base URL."""
    return [(r"/af/status", StatusHandler), (r"/af/renew", RenewHandler)]
