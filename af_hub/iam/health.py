"""``GET /hub/api/af/health``: whether logins can work, for probes and monitoring."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import sqlite3
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from jupyterhub.handlers.base import BaseHandler
from sqlalchemy import Column, Float, Integer, MetaData, Table, insert, update
from sqlalchemy.exc import SQLAlchemyError

from af_hub.errors import AFError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy.engine import Engine

    from af_hub.iam.discovery import Issuer

log = logging.getLogger(__name__)

KEEP: Final = 5.0
"""Seconds that a result is kept: whoever asks more often costs no more."""

PATIENCE: Final = 4.0
"""Seconds that a request waits for a check; a probe has given up soon after."""

KEYS_LIMIT: Final = 24 * 3600.0
"""Age in seconds from which the identity provider's keys count as expired."""

_DISK_FULL: Final = "53100"
"""PostgreSQL's code for it (SQLSTATE, class 53)."""

_table = Table(
    "af_health",
    MetaData(),
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("written_at", Float, nullable=False),
)


def write(engine: Engine) -> str:
    """Write to the database and commit; blocks.

    Only a commit shows a full disk: JupyterHub's own ``/hub/health`` and every read go on working
    while logins fail and tokens look wrong.

    Parameters
    ----------
    engine
        The hub's; a connection of its own is used, so that a failure leaves the hub's alone.

    Returns
    -------
    str
        Empty, ``database-full`` or ``database-not-writable``.
    """
    try:
        with engine.begin() as connection:
            _table.create(connection, checkfirst=True)
            row = {"written_at": time.time()}
            if not connection.execute(update(_table).values(row)).rowcount:
                connection.execute(insert(_table).values(id=1, **row))
    except SQLAlchemyError as error:
        code = "database-full" if _is_full(error) else "database-not-writable"
        log.warning("health: %s (%s)", code, type(error).__name__)
        return code
    return ""


class Health:
    """Checks database and identity provider, one check at a time, and keeps the result.

    Parameters
    ----------
    provider
        The identity provider.
    engine
        The hub's database.
    """

    def __init__(self, provider: Issuer, engine: Engine) -> None:
        self._provider = provider
        self._engine = engine
        self._tasks: dict[str, asyncio.Task[str]] = {}
        self._results: dict[str, tuple[float, str]] = {}

    async def codes(self) -> list[str]:
        """Return what is wrong, as stable codes; empty if all is well."""
        found = await asyncio.gather(
            self._checked("database", self._database),
            self._checked("provider", self._keys),
        )
        return [code for code in found if code]

    async def _checked(self, name: str, check: Callable[[], Awaitable[str]]) -> str:
        at, code = self._results.get(name, (-math.inf, ""))
        if time.monotonic() - at < KEEP:
            return code
        task = self._tasks.get(name)
        if task is None:
            task = self._tasks[name] = asyncio.ensure_future(check())
            task.add_done_callback(partial(self._keep, name))
        # a check that hangs goes on alone: no second one is begun beside it
        await asyncio.wait({task}, timeout=PATIENCE)
        return task.result() if task.done() else f"{name}-slow"

    def _keep(self, name: str, task: asyncio.Task[str]) -> None:
        del self._tasks[name]  # first: a check that breaks must not be the last one
        if not task.cancelled() and task.exception() is None:
            self._results[name] = time.monotonic(), task.result()

    async def _database(self) -> str:
        if self._engine.url.database in {None, "", ":memory:"}:
            return ""  # SQLite in memory: one connection, which must not be shared with a thread
        return await asyncio.to_thread(write, self._engine)

    async def _keys(self) -> str:
        """Renew the keys if they are due: on a quiet day nobody's login does."""
        try:
            await self._provider.keys()
        except AFError as error:
            log.warning("health: %s (%s)", error.code, error.detail)
        return keys_code(self._provider.key_age)


def keys_code(age: float | None) -> str:
    """Say what an age of keys means.

    Parameters
    ----------
    age
        Seconds; None if discovery or keys were never had.

    Returns
    -------
    str
        Empty, ``keys-unknown`` or ``keys-expired``.
    """
    if age is None:
        return "keys-unknown"
    return "keys-expired" if age > KEYS_LIMIT else ""


class HealthHandler(BaseHandler):  # type: ignore[misc]  # JupyterHub is untyped
    """Answers anybody with ``{"healthy", "codes"}``; 503 if a code is in it."""

    async def prepare(self) -> None:
        """Look for no user: that would be work for the database, for whoever asks."""

    async def get(self) -> None:
        """Answer."""
        codes = await self.authenticator.health(self.db.get_bind()).codes()
        self.set_status(503 if codes else 200)
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        self.finish(json.dumps({"healthy": not codes, "codes": codes}))

    head = get


def _is_full(error: SQLAlchemyError) -> bool:
    cause: Any = getattr(error, "orig", None)
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
    return _DISK_FULL in {getattr(cause, "sqlstate", None), getattr(cause, "pgcode", None)}
