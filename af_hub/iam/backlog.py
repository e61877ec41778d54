"""Logins whose renewal found no turn: they get one without a request that waits for it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from af_hub.errors import AFError, IAMUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

BUSY: Final = "iam-busy"
"""Code of what a request is told that gets no turn, see `af_hub.iam.pace`."""

_PAUSE: Final = 0.5
"""Seconds until the next try where requests have taken the turns."""


class Backlog:
    """Renews logins one after the other.

    JupyterHub looks at a login once a minute at most, however it came out. After a restart a
    thousand users would else draw lots for a dozen turns a minute.

    Parameters
    ----------
    renew
        Renews a user's login, in its turn.
    """

    def __init__(self, renew: Callable[[Any], Awaitable[object]]) -> None:
        self._renew = renew
        self._users: dict[str, Any] = {}
        self._work: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """Return how many users wait."""
        return len(self._users)

    def add(self, user: Any) -> None:
        """Let a user wait for a turn, unless they do already."""
        self._users.setdefault(user.name, user)
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while self._users:
            name = next(iter(self._users))
            try:
                await self._renew(self._users[name])
            except IAMUnavailable as error:
                if error.code == BUSY:
                    await asyncio.sleep(_PAUSE)
                    continue
                # the provider is away: who comes again finds out whether it is back
                self._users.clear()
                return
            except AFError as error:
                # the user's next request is told
                log.info("%s has to log in again: %s", name, error.code)
            except Exception:
                # such as a user who was deleted meanwhile; the others must not wait for ever
                log.exception("the login of %s could not be renewed", name)
            self._users.pop(name, None)
