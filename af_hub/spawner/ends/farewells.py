"""Which servers ended by themselves, and why, for users who wonder. Pure.

JupyterHub forgets all about a server when it has stopped. This is kept in memory: a restarted hub has
forgotten it, too.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from af_hub.spawner.policy.words import duration_in_words

if TYPE_CHECKING:
    from af_hub.spawner.ends.rules import Limit, Why

_WORDS: dict[Why, str] = {
    "lifetime": "the longest time of its profile, {}, was over",
    "idle": "no activity for {}",
    "gpu-idle": "no work on its GPUs for {}",
}


@dataclass(frozen=True, slots=True)
class Ended:
    """A server that ended by itself.

    Parameters
    ----------
    at
        When it was stopped.
    limit
        Why.
    """

    at: float
    limit: Limit

    @property
    def moment(self) -> str:
        """Write the time for a page's script, which knows the reader's zone."""
        return self._utc.isoformat(timespec="seconds").replace("+00:00", "Z")

    @property
    def moment_in_words(self) -> str:
        """Write the time for people whose browser runs no script."""
        return f"{self._utc:%Y-%m-%d %H:%M} UTC"

    @property
    def _utc(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)

    @property
    def words(self) -> str:
        """Say why, after a colon.

        Examples
        --------
        >>> Ended(0, Limit("idle", 7200)).words
        'no activity for 2 h'
        """
        return _WORDS[self.limit.why].format(duration_in_words(self.limit.limit))


class Farewells:
    """Remembers the last ones.

    Parameters
    ----------
    most
        How many; the oldest are forgotten.
    """

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._ended: OrderedDict[str, Ended] = OrderedDict()

    def add(self, server: str, ended: Ended) -> None:
        """Remember a server's end in place of an earlier one."""
        self._ended[server] = ended
        self._ended.move_to_end(server)
        while len(self._ended) > self._most:
            self._ended.popitem(last=False)

    def of(self, server: str) -> Ended | None:
        """Tell how a server ended; None if not by itself."""
        return self._ended.get(server)

    def forget(self, server: str) -> None:
        """Forget it: the server was started again."""
        self._ended.pop(server, None)


FAREWELLS = Farewells()
"""Those of this hub: one hub is one process."""
