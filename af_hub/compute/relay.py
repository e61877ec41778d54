"""Keep a short-lived token of the user fresh on each cluster.

Clusters outlive the Lab, so they cannot live on the Lab's token. The gateway asks the hub's broker
on the user's behalf, for the one audience that the cluster's type names, and sends the token to the
cluster's scheduler, which passes it on to the workers (`af_hub.compute.token_preload`). No refresh
token ever comes here.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import random
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

import aiohttp

from af_hub.errors import AFError, ComputeError, Refusal
from af_hub.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds between attempts while the hub does not answer, doubled each time."""
SHORTEST_ROUND = 1.0
"""Seconds: never ask more often, however short the tokens live."""
WANTED_LEFT = 0.6
"""Share of a token's life that the next one should have at least: at half life, the broker's last
one for another cluster of the user will do if it is fresh, else it makes a new one."""
LONGEST_WANTED = 86400
"""Seconds; the most that is asked for."""


@dataclass(frozen=True, slots=True)
class BrokeredToken:
    """A token as the broker gave it.

    Parameters
    ----------
    value
        The token.
    expires_at
        Seconds since the epoch, by the hub's clock.
    left
        Seconds that it lived on when it was given: what is reckoned with, so that this machine's
        clock does not matter.
    """

    value: Secret
    expires_at: float
    left: float


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

    async def fetch(self, user: str, audience: str, min_left: float) -> BrokeredToken:
        """Ask for a token of `user` for `audience` that lives `min_left` seconds on, if possible.

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
                params={"audience": audience, "min_left": str(math.ceil(min_left))},
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                body = _object(await response.read())
                if response.status == 200:
                    value = Secret(str(body["access_token"]))
                    return BrokeredToken(
                        value, float(body["expires_at"]), float(body["expires_in"])
                    )
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
    """Keep the tokens of all clusters fresh.

    Parameters
    ----------
    fetch
        Gives a token for (user, audience, seconds that it should live on).
    deliver
        Brings a token to a cluster that `reached` was called for.
    """

    def __init__(
        self,
        fetch: Callable[[str, str, float], Awaitable[BrokeredToken]],
        deliver: Callable[[str, Secret], Awaitable[None]],
    ) -> None:
        self._fetch = fetch
        self._deliver = deliver
        self._served: dict[str, _Served] = {}

    def start(self, cluster: str, user: str, audience: str) -> None:
        """Begin to serve a cluster. A second call changes nothing."""
        if cluster not in self._served:
            served = self._served[cluster] = _Served()
            served.task = asyncio.create_task(self._serve(served, cluster, user, audience))

    def reached(self, cluster: str) -> None:
        """Tell that a cluster's scheduler can be talked to: the first token is fetched before."""
        if (served := self._served.get(cluster)) is not None:
            served.reachable.set()

    def state(self, cluster: str) -> TokenState | None:
        """Return how a cluster's token is, None if it gets none."""
        served = self._served.get(cluster)
        return None if served is None else served.state

    async def first(self, cluster: str, limit: float) -> None:
        """Wait until the first token is there or is refused, at most `limit` seconds."""
        if (served := self._served.get(cluster)) is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(served.settled.wait(), limit)

    async def stop(self, cluster: str) -> None:
        """End the service for a cluster."""
        served = self._served.pop(cluster, None)
        if served is not None and served.task is not None:
            served.settled.set()
            served.task.cancel()
            await asyncio.gather(served.task, return_exceptions=True)

    async def close(self) -> None:
        """End the service for all clusters."""
        for cluster in list(self._served):
            await self.stop(cluster)

    async def _serve(self, served: _Served, cluster: str, user: str, audience: str) -> None:
        pause, min_left = FIRST_PAUSE, 0.0
        while True:
            try:
                token = await self._fetch(user, audience, min_left)
                begun = time.monotonic()
                await served.reachable.wait()
                await self._deliver(cluster, token.value)
            except AFError as error:
                log.warning("cluster %s: no new token [%s]", cluster, error.code)
                served.state = replace(served.state, state="error", message=error.message)
                wait, pause = pause, min(2 * pause, LONGEST_PAUSE)
            else:
                served.state = TokenState("valid", token.expires_at)
                pause = FIRST_PAUSE
                min_left = min(WANTED_LEFT * token.left, LONGEST_WANTED)
                wait = max(token.left / 2 - (time.monotonic() - begun), SHORTEST_ROUND)
            served.settled.set()
            # spread: clusters that started together do not ask together for ever
            await asyncio.sleep(wait * random.uniform(0.8, 1.0))  # noqa: S311  not for secrets


@dataclass(slots=True)
class _Served:
    """One cluster that is served."""

    state: TokenState = field(default_factory=lambda: TokenState("waiting"))
    reachable: asyncio.Event = field(default_factory=asyncio.Event)
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
