"""The cluster's API server as a spawner sees it: away for a while, saying no, or watched."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import Any, Final

import aiohttp
from kubernetes_asyncio.client import ApiException
from kubespawner.spawner import EventReflector, PodReflector
from traitlets import Float, default
from traitlets.config import LoggingConfigurable

from af_hub.errors import Refusal
from af_hub.spawner.reasons import Reason

_REFUSED_AT_MOST: Final = 5
"""How often, once a second, a server may forbid what the hub may read."""

_REFUSED_AFTER_AN_ABSENCE: Final = 30
"""The same for one that did not answer before."""

FAILURES: Final = (aiohttp.ClientError, ApiException, OSError, TimeoutError)
"""What comes out of a request that did not succeed."""


def is_away(error: BaseException) -> bool:
    """Tell whether the API server did not answer, as opposed to saying no."""
    if isinstance(error, ApiException):
        status = error.status or 0
        return status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS
    return isinstance(error, FAILURES)


def away_refusal() -> Refusal:
    """Return what a user is told while the API server does not answer."""
    message = "The cluster does not answer at the moment. Try again in a minute."
    return Refusal(Reason.CLUSTER_AWAY, message, status=503)


def no_refusal(error: ApiException) -> Refusal:
    """Return what a user is told when the cluster does not admit the pod or the volume."""
    try:
        said = str(json.loads(error.body or "")["message"])
    except (ValueError, KeyError, TypeError):
        said = str(error.reason)
    message = f"The cluster refused to start the server: {said[:500]}"
    return Refusal(Reason.CLUSTER_REFUSED, message, status=403)


def lost_refusal(pod: Any) -> Refusal:
    """Return what a user is told when the pod ends before the Lab is up."""
    status = (pod or {}).get("status", {})
    why = status.get("message") or status.get("reason") or "it was deleted"
    message = f"The cluster ended the server while it started: {str(why)[:300]}. Start it again."
    return Refusal(Reason.POD_LOST, message, status=503)


class _Lasting(LoggingConfigurable):
    """Mixin for reflectors: be right again soon after the API server is.

    KubeSpawner's waits ever longer and gives up after some 51 s; then a pod that was deleted runs
    for ever in the hub's eyes, and no start succeeds (kubespawner#938, open).
    """

    # what it uses of KubeSpawner's reflector, which is untyped
    first_load_future: Any
    kind: Any

    retry_after = Float(1.0, help="Seconds between two questions to a server that does not answer.")

    @default("request_timeout")
    def _default_request_timeout(self) -> int:
        """Notice a stalled watch: the server itself ends each one after `timeout_seconds`, 10."""
        return 20

    async def _list_and_update(self, resource_version: str | None = None) -> str:
        """Read everything; ask again until the server answers.

        Raises
        ------
        ApiException
            At the first time only: the hub may not read this. JupyterHub would then end the Labs
            that it finds, so a server that has just started, and knows no roles yet, is asked again.
        """
        silent = refused = 0
        while True:
            try:
                version: str = await super()._list_and_update(resource_version)  # type: ignore[misc]
            except FAILURES as error:
                if not silent + refused:
                    self.log.warning("No answer about %s, asking again: %r", self.kind, error)
                silent, refused = silent + is_away(error), refused + (not is_away(error))
                patience = _REFUSED_AFTER_AN_ABSENCE if silent else _REFUSED_AT_MOST
                if refused > patience and not self.first_load_future.done():
                    raise
                # the version may be too old for the server by now
                resource_version = resource_version and "0"
                await asyncio.sleep(self.retry_after)
            else:
                return version


class LastingPodReflector(_Lasting, PodReflector):  # type: ignore[misc]  # untyped upstream
    """Pods, as the API server last told."""


class LastingEventReflector(_Lasting, EventReflector):  # type: ignore[misc]  # untyped upstream
    """Events, as the API server last told."""


REFLECTORS: Final = {"pods": LastingPodReflector, "events": LastingEventReflector}
