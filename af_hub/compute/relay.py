"""Keep a short-lived token of the user fresh on each cluster.

Clusters outlive the Lab, so they cannot live on the Lab's token. The gateway asks the hub's broker
on the user's behalf, for the one audience that the cluster's type names, and puts the token into a
file of the cluster. No refresh token ever comes here.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

import aiohttp

from af_hub.compute.launch import BEARER_TOKEN_FILE
from af_hub.errors import AFError, ComputeError, Refusal
from af_hub.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds between attempts while the hub does not answer, doubled each time."""
SHORTEST_ROUND = 1.0
"""Seconds: never ask more often, however short the tokens live."""


@dataclass(frozen=True, slots=True)
class BrokeredToken:
    """A token as the broker gave it.

    Parameters
    ----------
    value
        The token.
    expires_at
        Seconds since the epoch.
    """

    value: Secret
    expires_at: float


@dataclass(frozen=True, slots=True)
class TokenState:
    """How a cluster's token is.

    Parameters
    ----------
    state
        ``waiting`` for the first one, ``valid``, or ``error`` while no new one can be had.
    expires_at
        Seconds since the epoch, None before the first one.
    message
        Why it cannot be had, for the user.
    """

    state: Literal["waiting", "valid", "error"]
    expires_at: float | None = None
    message: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the form of the REST API."""
        return {"state": self.state, "expires_at": self.expires_at, "message": self.message}


class Broker:
    """The hub's token broker, asked as a service on users' behalf.

    Parameters
    ----------
    session
        HTTP client.
    hub_api_url
        For example ``http://hub:8081/hub/api``.
    api_token
        The service's hub token; its scopes say for which audiences it may ask.
    timeout
        Seconds for one question.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        hub_api_url: str,
        api_token: Secret,
        *,
        timeout: float = 15.0,
    ) -> None:
        self._session = session
        self._url = hub_api_url.rstrip("/")
        self._token = api_token
        self._timeout = aiohttp.ClientTimeout(total=timeout)

    async def fetch(self, user: str, audience: str) -> BrokeredToken:
        """Ask for a token of `user` for `audience`.

        Raises
        ------
        Refusal
            The hub said no; code and sentence are the hub's.
        ComputeError
            ``hub-unreachable``: no answer, or not a useful one.
        """
        url = f"{self._url}/af/users/{quote(user, safe='')}/token"
        headers = {"Authorization": f"token {self._token.reveal()}"}
        try:
            async with self._session.get(
                url,
                params={"audience": audience},
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                body = _object(await response.read())
                if response.status == 200:
                    value = Secret(str(body["access_token"]))
                    return BrokeredToken(value, float(body["expires_at"]))
                if response.status in {400, 401, 403, 404, 409}:
                    raise Refusal(
                        str(body.get("code", "refused"))[:64],
                        str(body.get("message", "The hub gives no token for this cluster."))[:300],
                        status=response.status,
                    )
                raise _no_answer(f"status {response.status}")
        except (aiohttp.ClientError, TimeoutError, KeyError, TypeError, ValueError) as error:
            raise _no_answer(type(error).__name__) from error


def _object(raw: bytes) -> dict[str, Any]:
    found = json.loads(raw or b"{}")
    if not isinstance(found, dict):
        raise TypeError
    return found


def _no_answer(detail: str) -> ComputeError:
    return ComputeError(
        "hub-unreachable", "The hub does not answer now; the cluster keeps its last token.", detail
    )


class TokenRelay:
    """Keep the token files of all clusters fresh.

    Parameters
    ----------
    fetch
        Gives a token for (user, audience).
    write
        Puts (cluster, file name, content) into a cluster's folder.
    """

    def __init__(
        self,
        fetch: Callable[[str, str], Awaitable[BrokeredToken]],
        write: Callable[[str, str, bytes], Awaitable[None]],
    ) -> None:
        self._fetch = fetch
        self._write = write
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._states: dict[str, TokenState] = {}
        self._settled: dict[str, asyncio.Event] = {}

    def start(self, cluster: str, user: str, audience: str) -> None:
        """Begin to serve a cluster. Its folder must be there. A second call changes nothing."""
        if cluster not in self._tasks:
            self._states[cluster] = TokenState("waiting")
            self._settled[cluster] = asyncio.Event()
            self._tasks[cluster] = asyncio.create_task(self._serve(cluster, user, audience))

    def state(self, cluster: str) -> TokenState | None:
        """Return how a cluster's token is, None if it gets none."""
        return self._states.get(cluster)

    async def first(self, cluster: str, limit: float) -> None:
        """Wait for the first answer of the hub, good or bad, at most `limit` seconds."""
        settled = self._settled.get(cluster)
        if settled is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(settled.wait(), limit)

    async def stop(self, cluster: str) -> None:
        """End the service for a cluster."""
        task = self._tasks.pop(cluster, None)
        self._states.pop(cluster, None)
        self._settled.pop(cluster, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def close(self) -> None:
        """End the service for all clusters."""
        for cluster in list(self._tasks):
            await self.stop(cluster)

    async def _serve(self, cluster: str, user: str, audience: str) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                token = await self._fetch(user, audience)
                await self._write(cluster, BEARER_TOKEN_FILE, token.value.reveal().encode())
            except (AFError, OSError) as error:
                self._failed(cluster, error)
                wait, pause = pause, min(2 * pause, LONGEST_PAUSE)
            else:
                self._states[cluster] = TokenState("valid", token.expires_at)
                pause = FIRST_PAUSE
                wait = max((token.expires_at - time.time()) / 2, SHORTEST_ROUND)
            self._settled[cluster].set()
            # spread: clusters that started together do not ask together for ever
            await asyncio.sleep(wait * random.uniform(0.8, 1.0))  # noqa: S311  not for secrets

    def _failed(self, cluster: str, error: AFError | OSError) -> None:
        code = error.code if isinstance(error, AFError) else "token-not-written"
        message = error.message if isinstance(error, AFError) else "The token cannot be written."
        log.warning("cluster %s: no new token [%s]", cluster, code)
        self._states[cluster] = replace(self._states[cluster], state="error", message=message)
