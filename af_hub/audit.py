"""Audit events: who logged in, who was refused and why, who got which token.

Events go to JupyterHub's own event logger (``c.EventLogger.handlers``), each with its schema from
``af_hub/events``. A hub without such handlers discards events, so they are then lines of its log.
Events hold names and codes, never a token; what a stranger typed is scrubbed first.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from af_hub import metrics
from af_hub.errors import IAMUnavailable
from af_hub.iam.answers import scrub

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jupyter_events import EventLogger

    from af_hub.errors import AFError
    from af_hub.iam.broker import Brokered
    from af_hub.iam.session import Login

log = logging.getLogger(__name__)

SCHEMAS: Final = Path(__file__).with_name("events")
"""Folder of the schemas."""

PREFIX: Final = "urn:analysis-facility:events:"
"""What every schema's ``$id`` starts with."""

_LONGEST: Final = {"issuer": 2048, "subject": 2048, "scope": 4096}
_LONGEST_OTHER: Final = 255
_MOST_GROUPS: Final = 100

What = Literal["login", "token", "start"]


class Audit:
    """Writes events and counts them."""

    def __init__(self) -> None:
        self._events: EventLogger | None = None

    def attach(self, events: EventLogger) -> None:
        """Write to the hub's event logger from now on."""
        for path in sorted(SCHEMAS.glob("*.yaml")):
            events.register_event_schema(path)
        self._events = events

    def logged_in(self, username: str, login: Login, *, admin: bool, address: str) -> None:
        """Tell of a login that was let in."""
        self._emit(
            "login",
            username=username,
            issuer=login.iss,
            subject=login.sub,
            admin=admin,
            groups=len(login.groups),
            address=address,
        )

    def logged_out(self, username: str, *, revoked: bool) -> None:
        """Tell of a logout."""
        self._emit("logout", username=username, revoked=revoked)

    def refused(
        self,
        what: What,
        reason: str,
        *,
        username: str | None = None,
        by: str,
        audience: str | None = None,
        address: str | None = None,
    ) -> None:
        """Tell of a refusal.

        Parameters
        ----------
        what
            What was asked for.
        reason
            Stable code.
        username
            Whom it was about, as far as known.
        by
            ``browser``, ``user:NAME``, ``service:NAME`` or ``nobody``.
        audience
            What was asked for by name; may be what a stranger typed.
        address
            Network address that asked.
        """
        metrics.refused(what, reason)
        self._emit(
            "refusal",
            what=what,
            reason=reason,
            username=username,
            by=by,
            audience=None if audience is None else scrub(audience),
            address=address,
        )

    def refreshed(self, username: str, old: Login, new: Login) -> None:
        """Tell of a refresh: an event only if the groups are others than before."""
        metrics.refreshed()
        self.groups_changed(username, old.groups, new.groups)

    def refresh_failed(self, username: str, error: AFError) -> None:
        """Tell of a refresh that did not work."""
        metrics.refreshed(error)
        self._emit(
            "refresh-failure",
            username=username,
            reason=error.code,
            ended=not isinstance(error, IAMUnavailable),
        )

    def groups_changed(self, username: str, old: Iterable[str], new: Iterable[str]) -> None:
        """Tell of other groups than before, if they are."""
        before, now = set(old), set(new)
        if before != now:
            self._emit(
                "group-change",
                username=username,
                added=sorted(now - before)[:_MOST_GROUPS],
                removed=sorted(before - now)[:_MOST_GROUPS],
                total=len(now),
            )

    def server_ended(
        self, username: str, server: str, profile: str, why: str, limit: float
    ) -> None:
        """Tell of a server that ended by itself.

        Parameters
        ----------
        username
            Whose server.
        server
            Its name; empty for the default one.
        profile
            Name of its profile.
        why
            ``lifetime``, ``idle`` or ``gpu-idle``.
        limit
            Seconds that were over.
        """
        metrics.server_ended(why)
        self._emit(
            "server-ended",
            username=username,
            server=server,
            profile=profile,
            why=why,
            limit=int(limit),
        )

    def token_issued(self, username: str, audience: str, token: Brokered, *, to: str) -> None:
        """Tell of a token that was given out.

        Parameters
        ----------
        username
            Whose token.
        audience
            Its name in the settings.
        token
            The token; only its scope and end are written.
        to
            ``server`` or ``service:NAME``.
        """
        metrics.token_issued(audience, to)
        self._emit(
            "token-issued",
            username=username,
            audience=audience,
            scope=token.scope,
            expires_at=int(token.expires_at),
            to=to,
        )

    def _emit(self, name: str, **data: Any) -> None:
        for field, value in data.items():
            if isinstance(value, str):
                data[field] = value[: _LONGEST.get(field, _LONGEST_OTHER)]
        written = None
        if self._events is not None:
            written = self._events.emit(schema_id=f"{PREFIX}{name}", data=data)
        if written is None:
            log.info("audit: %s %s", name, json.dumps(data))


def audit_of(spawner: Any) -> Audit:
    """Find where a spawner's events go: those of `IAMAuthenticator`, else lines of the hub's log."""
    return getattr(getattr(spawner, "authenticator", None), "audit", None) or Audit()
