"""The queue for graphics processors: who is next. Pure.

Fair by group: the next device goes to the group that holds the least for its weight, within the
group to the user who holds the least, and then to who came first. Nobody overtakes a larger request
that waits for the same devices, so large ones are served, too.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from af_hub.spawner.kube.gpus.count import Place

NOBODY = ""
"""The group of users who have none."""


@dataclass(frozen=True, slots=True)
class Request:
    """Devices that a server asks for.

    Parameters
    ----------
    key
        The server, ``user/server name``.
    user
        Its user.
    place
        Where its pod can run.
    number
        How many devices.
    groups
        Groups of the user that it may count for; it counts for the one that holds the least.
    came
        Number that grows with each request.
    """

    key: str
    user: str
    place: Place
    number: int
    groups: tuple[str, ...] = ()
    came: int = 0


class Shares:
    """What groups and users hold.

    Parameters
    ----------
    weights
        Group to its weight; a group that is not named has weight 1.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = weights
        self._groups: dict[str, int] = defaultdict(int)
        self._users: dict[str, int] = defaultdict(int)

    def add(self, user: str, group: str, number: int) -> None:
        """Let a user hold more."""
        self._groups[group] += number
        self._users[user] += number

    def of_user(self, user: str) -> int:
        """Return how many devices a user holds."""
        return self._users.get(user, 0)

    def group_for(self, request: Request) -> tuple[float, str]:
        """Choose the group that a request counts for; return its share and its name."""
        groups = request.groups or (NOBODY,)
        return min((self._groups.get(g, 0) / self._weights.get(g, 1.0), g) for g in groups)


def in_order(
    waiting: Iterable[Request],
    held: Iterable[tuple[str, str, int]],
    weights: Mapping[str, float],
) -> list[Request]:
    """Order requests as they will be served.

    Parameters
    ----------
    waiting
        The requests.
    held
        (user, group, number) of what servers hold.
    weights
        Group to its weight.

    Returns
    -------
    list of Request
        The next one first. Each counts as served for those behind it.
    """
    shares = Shares(weights)
    for user, group, number in held:
        shares.add(user, group, number)
    # those with the same groups differ by user and time only
    heaps: dict[tuple[str, ...], list[tuple[int, int, Request]]] = defaultdict(list)
    for request in waiting:
        heaps[request.groups].append((shares.of_user(request.user), request.came, request))
    for heap in heaps.values():
        heapq.heapify(heap)
    ordered = []
    while heaps:
        ranks = []
        for groups, heap in heaps.items():
            head = _renewed_head(heap, shares)
            ranks.append((shares.group_for(head)[0], heap[0][0], head.came, groups))
        groups = min(ranks)[3]
        chosen = heapq.heappop(heaps[groups])[2]
        if not heaps[groups]:
            del heaps[groups]
        shares.add(chosen.user, shares.group_for(chosen)[1], chosen.number)
        ordered.append(chosen)
    return ordered


def _renewed_head(heap: list[tuple[int, int, Request]], shares: Shares) -> Request:
    """Return the first of a heap, once what its user holds is up to date."""
    while True:
        holds, came, head = heap[0]
        now = shares.of_user(head.user)
        if now == holds:
            return head
        heapq.heapreplace(heap, (now, came, head))


def to_serve(
    ordered: Sequence[Request],
    fits: Callable[[Request], bool],
    shared: Callable[[Place, Place], bool],
) -> Request | None:
    """Choose who is served now.

    Parameters
    ----------
    ordered
        As `in_order` returns them.
    fits
        Tells whether there are enough free devices for a request.
    shared
        Tells whether two kinds of pods take from the same devices.

    Returns
    -------
    Request or None
        None: nobody can be served.
    """
    held_up: list[Place] = []
    for request in ordered:
        if any(shared(request.place, place) for place in held_up):
            continue
        if fits(request):
            return request
        held_up.append(request.place)
    return None


def position(
    ordered: Sequence[Request], key: str, shared: Callable[[Place, Place], bool]
) -> int | None:
    """Tell a request's place among those that wait for the same devices, from 1; None: it is not there."""
    mine = next((each for each in ordered if each.key == key), None)
    if mine is None:
        return None
    before = ordered[: ordered.index(mine)]
    return 1 + sum(shared(each.place, mine.place) for each in before)
