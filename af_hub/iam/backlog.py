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

SIDE_BY_SIDE: Final = 8
"""Logins that are renewed at a time; fewer than turns under way, so that requests get some."""

_PAUSE: Final = 0.5
"""Seconds until the next try where requests have taken the turns."""


class Backlog:
    """Renews logins in the order in which they came.

    JupyterHub looks at a login once a minute at most, however it came out. After a restart a
    thousand users would else draw lots for a dozen turns a minute. A few are renewed side by side:
    one after the other they would get fewer turns than there are when answers are slow.

    Parameters
    ----------
    renew
        Renews a user's login, in its turn.
    """

    def __init__(self, renew: Callable[[Any], Awaitable[object]]) -> None:
        self._renew = renew
        self._users: dict[str, Any] = {}
        self._renewing: dict[str, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        """Return how many users wait."""
        return len(self._users) + len(self._renewing)

    def add(self, user: Any) -> None:
        """Let a user wait for a turn, unless they do already."""
        if user.name not in self._renewing:
            self._users.setdefault(user.name, user)
        self._begin()

    def _begin(self) -> None:
        while self._users and len(self._renewing) < SIDE_BY_SIDE:
            name = next(iter(self._users))
            work = asyncio.create_task(self._run(name, self._users.pop(name)))
            self._renewing[name] = work

    async def _run(self, name: str, user: Any) -> None:
        try:
            while True:
                try:
                    await self._renew(user)
                except IAMUnavailable as error:
                    if error.code == BUSY:
                        await asyncio.sleep(_PAUSE)
                        continue
                    # whoever comes again finds out whether the provider is back; while it counts
                    # as away, the others end here as quickly, without a call
                    log.info("the login of %s stays as it is: %s", name, error.code)
                break
        except AFError as error:
            # the user's next request is told
            log.info("%s has to log in again: %s", name, error.code)
        except Exception:
            # such as a user who was deleted meanwhile; the others must not wait for ever
            log.exception("the login of %s could not be renewed", name)
        finally:
            del self._renewing[name]
            self._begin()
