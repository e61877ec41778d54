"""What all servers hold together, kept by what limits ask for, so that nobody has to count. Pure.

A start asks for the servers of one user, of a profile and of groups. Counting thousands at each
start takes longer than the start; here it takes as long for any number of servers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from af_hub.spawner.policy.site import Running

_Kind = tuple[str, tuple[str, ...]]
"""Profile and groups: limits look at nothing else of somebody else's server."""


class Totals:
    """Servers of each user one by one, and all servers of a kind together."""

    def __init__(self) -> None:
        self._of_users: dict[str, dict[str, Running]] = {}
        self._of_kinds: dict[_Kind, Running] = {}

    def add(self, running: Running) -> None:
        """Count a server; it must not be counted yet."""
        self._of_users.setdefault(running.user, {})[running.key] = running
        kind = _kind(running)
        before = self._of_kinds.get(kind)
        self._of_kinds[kind] = (
            replace(running, key="", user="") if before is None else _changed(before, running, 1)
        )

    def remove(self, running: Running) -> None:
        """Count a server no longer; it must be counted."""
        theirs = self._of_users[running.user]
        del theirs[running.key]
        if not theirs:
            del self._of_users[running.user]
        kind = _kind(running)
        left = _changed(self._of_kinds[kind], running, -1)
        if left.servers:
            self._of_kinds[kind] = left
        else:
            del self._of_kinds[kind]

    def each(self) -> Iterator[Running]:
        """List all servers."""
        for theirs in self._of_users.values():
            yield from theirs.values()

    def of(self, user: str) -> tuple[Running, ...]:
        """List the servers of a user."""
        return tuple(self._of_users.get(user, {}).values())

    def besides(self, user: str) -> Iterator[Running]:
        """Sum up the servers of everybody else, one entry for each kind."""
        mine: dict[_Kind, list[Running]] = {}
        for running in self.of(user):
            mine.setdefault(_kind(running), []).append(running)
        for kind, together in self._of_kinds.items():
            for running in mine.get(kind, ()):
                together = _changed(together, running, -1)  # noqa: PLW2901  less and less of it
            if together.servers:
                yield together


def _kind(running: Running) -> _Kind:
    return running.profile, running.groups


def _changed(together: Running, one: Running, sign: int) -> Running:
    """Add what a server holds, or take it away."""
    return replace(
        together,
        servers=together.servers + sign * one.servers,
        cpu=together.cpu + sign * one.cpu,
        ram=together.ram + sign * one.ram,
        gpu=together.gpu + sign * one.gpu,
    )
