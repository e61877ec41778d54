"""``events``: clusters and quotas pushed to whoever looks at them, as server-sent events."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web

from af_hub.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from dask_gateway_server.auth import Authenticator
    from dask_gateway_server.models import User

COALESCE = 0.05
"""Seconds: changes that come together are told together."""
OTHERS = 1.0
"""Seconds until members of a group hear of what others of it use."""
COMMENT = 15.0
"""Seconds of silence after which a comment line keeps the connection."""
ASK_AGAIN = 60.0
"""Seconds after which the hub is asked again whether the user may still look."""
MOST_STREAMS = 16
"""Connections of one user; a Lab has one for all of its windows."""


@dataclass(eq=False)
class Listener:
    """One connection.

    Parameters
    ----------
    user
        Who listens.
    group
        Group whose quota is shown to this user.
    """

    user: User
    group: str | None
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    later: asyncio.TimerHandle | None = None

    def wake_later(self) -> None:
        """Wake in a while, together with whatever else comes until then."""
        if self.later is None:
            self.later = asyncio.get_running_loop().call_later(OTHERS, self._wake)

    def _wake(self) -> None:
        self.later = None
        self.woken.set()


class Feed:
    """All connections.

    Parameters
    ----------
    snapshot
        Gives what a user shall see, JSON.
    group_of
        Gives the group that counts for a user.
    """

    def __init__(
        self,
        snapshot: Callable[[User], dict[str, Any]],
        group_of: Callable[[User], str | None],
    ) -> None:
        self._snapshot = snapshot
        self._group_of = group_of
        self._listeners: set[Listener] = set()
        self._closed = False

    def changed(self, user: str, group: str | None) -> None:
        """Tell that something of a user's clusters changed, which count for a group."""
        for one in self._listeners:
            if one.user.name == user:
                one.woken.set()
            elif group is not None and one.group == group:
                one.wake_later()

    async def close(self, _app: object = None) -> None:
        """End all connections: the gateway stops."""
        self._closed = True
        for one in self._listeners:
            one.woken.set()

    async def serve(self, request: web.Request, authenticator: Authenticator) -> web.StreamResponse:
        """Answer one connection until either side ends it.

        Raises
        ------
        Refusal
            ``too-many-streams``.
        """
        user = request["user"]
        if sum(one.user.name == user.name for one in self._listeners) >= MOST_STREAMS:
            raise Refusal("too-many-streams", "Too many windows listen already.", status=429)
        answer = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
            }
        )
        await answer.prepare(request)
        listener = Listener(user, self._group_of(user))
        self._listeners.add(listener)
        try:
            # the other side may go at any moment
            with suppress(ConnectionError):
                await self._tell(answer, listener, request, authenticator)
        finally:
            self._listeners.discard(listener)
            if listener.later is not None:
                listener.later.cancel()
        return answer

    async def _tell(
        self,
        answer: web.StreamResponse,
        listener: Listener,
        request: web.Request,
        authenticator: Authenticator,
    ) -> None:
        loop = asyncio.get_running_loop()
        asked, said, last = loop.time(), loop.time(), ""
        while not self._closed:
            listener.woken.clear()
            if loop.time() - asked > ASK_AGAIN:
                asked = loop.time()
                if not await self._may_stay(listener, request, authenticator):
                    return
            data = json.dumps(self._snapshot(listener.user))
            if data != last:
                await answer.write(f"event: clusters\ndata: {data}\n\n".encode())
                said, last = loop.time(), data
            elif loop.time() - said >= COMMENT:
                await answer.write(b": still here\n\n")
                said = loop.time()
            with suppress(TimeoutError):
                await asyncio.wait_for(listener.woken.wait(), max(said + COMMENT - loop.time(), 0))
            await asyncio.sleep(COALESCE)

    async def _may_stay(
        self, listener: Listener, request: web.Request, authenticator: Authenticator
    ) -> bool:
        try:
            user = await authenticator.authenticate(request)
        except (web.HTTPBadGateway, aiohttp.ClientError, TimeoutError):
            # the hub does not answer now: that says nothing about the user. A token that it does
            # not know any more is 500 at Gateway's authenticator
            return True
        except web.HTTPException:
            return False
        if user.name != listener.user.name:
            return False
        listener.user, listener.group = user, self._group_of(user)
        return True
