"""A refusal in the form that JupyterHub understands, on 5.5 and on 6.

JupyterHub 6 has `SpawnException`: no traceback, counted as ``failure`` with its reason, never for
``consecutive_failure_limit``. On 5.5 an ``HTTPError`` below 500 with ``jupyterhub_message`` comes
closest (JupyterHub's "upgrading to 6" document gives this fallback).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from jupyterhub import spawner as _upstream
from tornado import web

from af_hub import metrics
from af_hub.audit import audit_of
from af_hub.spawner.page.tally import TALLY
from af_hub.spawner.policy.reasons import Reason

if TYPE_CHECKING:
    from af_hub.errors import Refusal

metrics.expect_refusals("start", Reason)

_SpawnException: type[web.HTTPError] | None = getattr(_upstream, "SpawnException", None)


class SpawnRefused(_SpawnException or web.HTTPError):  # type: ignore[misc]  # chosen at run time
    """Policy refused to start a server.

    Parameters
    ----------
    refusal
        What the policy said.
    """

    def __init__(self, refusal: Refusal) -> None:
        if _SpawnException is not None:
            super().__init__(
                refusal.message, reason=str(refusal.reason), status_code=refusal.status
            )
        else:
            super().__init__(refusal.status, "%s", refusal.message, reason=str(refusal.reason))
        self.refusal = refusal
        self.headers = {"AF-Refusal": str(refusal.reason)}
        self.jupyterhub_message = refusal.message

    def __str__(self) -> str:
        """Return the sentence for the user."""
        return str(self.refusal.message)


def start_refused(spawner: Any, refusal: Refusal) -> SpawnRefused:
    """Make the exception that ends a start which JupyterHub has begun.

    JupyterHub 5 counts whatever ends a start for ``consecutive_failure_limit``, so that five
    refused requests stop the hub (`_track_failure_count` in handlers/base.py; 6 leaves out
    `SpawnException`). There the count is lowered by the one that will be added.

    Parameters
    ----------
    spawner
        What JupyterHub is starting.
    refusal
        What the policy said.

    Returns
    -------
    SpawnRefused
        To be raised.
    """
    if _SpawnException is None and spawner.handler is not None:
        settings = spawner.handler.settings
        settings["failure_count"] = settings.get("failure_count", 0) - 1
    return request_refused(spawner, refusal)


def request_refused(spawner: Any, refusal: Refusal) -> SpawnRefused:
    """Make the exception that ends a request before JupyterHub begins a start; count and audit it.

    Parameters
    ----------
    spawner
        What would have been started.
    refusal
        What is wrong with the request.

    Returns
    -------
    SpawnRefused
        To be raised.
    """
    quiet_refusals()
    name = spawner.user.name
    TALLY.add(str(refusal.reason))
    audit_of(spawner).refused("start", str(refusal.reason), username=name, by=f"user:{name}")
    return SpawnRefused(refusal)


class NoTracebackForRefusals(logging.Filter):
    """Drop the traceback that JupyterHub's spawn page logs for every exception.

    ``SpawnHandler`` logs with ``exc_info=True`` whatever ends a start from the form or the query,
    `SpawnException` included (handlers/pages.py of 5.5 and 6.1).
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the record, without the traceback if it is a refusal's."""
        info = record.exc_info
        if info == (None, None, None):
            # JupyterHub 5 logs outside of ``except`` as well: an empty traceback
            record.exc_info = None
        elif isinstance(info, tuple) and isinstance(info[1], SpawnRefused):
            record.exc_info = None
            record.msg, record.args = "Refused to start a server: %s", (str(info[1]),)
            record.levelno, record.levelname = logging.INFO, "INFO"
        return True


def quiet_refusals() -> None:
    """Keep tracebacks of refusals out of the log, also of a hub that `configure` has not set up.

    A refusal that comes after the spawn page has answered (one second) reaches nobody, which asyncio
    logs by itself.
    """
    for name in ("JupyterHub", "asyncio"):
        log = logging.getLogger(name)
        if not any(isinstance(item, NoTracebackForRefusals) for item in log.filters):
            log.addFilter(NoTracebackForRefusals())
