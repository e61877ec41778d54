"""``GET af/status``: who I am, how long token and server live, where to log in again."""

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
    from af_labextension.data.doors import Doors
    from af_labextension.hub import HubClient

    from .keeper import TokenKeeper
    from .provider import TokenProvider


_PATIENCE = 2.0
"""Seconds that a status answer waits for a token."""


def _pick(source: object, *names: str) -> dict[str, Any]:
    """Take the named fields of a mapping; what is missing becomes ``None``."""
    mapping = source if isinstance(source, Mapping) else {}
    return {name: mapping.get(name) for name in names}


class StatusHandler(FacilityHandler):
    """Everything the status bar shows. It never answers with a token."""

    @authenticated
    @authorized
    async def get(self) -> None:
        """Answer even when the hub is away: what is known, and what is wrong."""
        hub: HubClient | None = self.settings[settings.HUB]
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
                "server": _pick(
                    config.get("server"), "expires_at", "started_at", "stop_url", "profile_url"
                ),
                "hub": _pick(config.get("hub"), "home_url", "login_url") if hub else None,
                "facility": _pick(config.get("about"), "name", "support", "notice"),
                "problem": problem,
            }
        )

    async def _tokens(self) -> list[dict[str, Any]]:
        """Return a row for the first door's audience, and for others that are in use."""
        doors: Doors = self.settings[settings.DOORS]
        tokens: TokenProvider = self.settings[settings.TOKENS]
        keeper: TokenKeeper | None = self.settings[settings.KEEPER]
        try:
            audiences = list(dict.fromkeys(d.audience for d in await doors.all() if d.audience))
        except LabError:
            return []
        rows = []
        for number, audience in enumerate(audiences):
            if number == 0 and keeper is None:
                # nobody else looks after it in a Lab without a kept file
                with suppress(LabError, TimeoutError):
                    await asyncio.wait_for(tokens.token(audience), _PATIENCE)
            state = tokens.state(audience)
            if number == 0 and keeper is not None:
                state = keeper.refine(state)
            # tokens of further doors are fetched when a door is opened: until then, no news
            if number == 0 or state.state in {"valid", "error"}:
                rows.append(state.as_json())
        return rows


def handlers() -> list[tuple[str, type[FacilityHandler]]]:
    """Return the routes, relative to the server's base URL."""
    return [(r"/af/status", StatusHandler)]
