"""Which servers ended by themselves, and why, for users who wonder. Pure.

JupyterHub forgets all about a server when it has stopped. This is kept in memory: a restarted hub has
forgotten it, too.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from af_hub.spawner.ends.rules import Ended


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
