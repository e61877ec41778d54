"""The devices of a cluster, who has them and who waits for them. Pure.

The hub is one process and reserves without waiting in between, so two starts never get the same
device. A reservation counts until its pod is seen; from then on the pod does. What a hub that was
killed had reserved is found again as pods.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, TypeVar

from af_hub.spawner.kube.gpus.count import Claim
from af_hub.spawner.kube.gpus.layout import Layout, Stock
from af_hub.spawner.kube.gpus.line import Request, Shares, in_order, position, to_serve
from af_hub.spawner.policy.site import Holder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from af_hub.spawner.kube.gpus.count import Node, Place
    from af_hub.spawner.policy.site import GpuModel

_T = TypeVar("_T")


@dataclass(slots=True)
class _Grant:
    """Devices that a server has got."""

    request: Request
    group: str
    mark: str
    seen: bool


class Pool:
    """Stock, reservations and queue.

    Parameters
    ----------
    weights
        Group to its weight in the queue; others have 1.
    """

    def __init__(self, weights: Mapping[str, float] | None = None) -> None:
        self.weights = dict(weights or {})
        self.counted = False
        """Whether nodes and pods are known; otherwise the cluster decides by itself."""
        self._nodes: dict[str, Node] = {}
        self._pods: dict[str, Claim] = {}
        self._granted: dict[str, _Grant] = {}
        self._waiting: dict[str, tuple[Request, str, Callable[[], None]]] = {}
        self._came = count(1)
        self._layout: Layout | None = None
        self._order: list[Request] | None = None

    # --- what the watches tell ---

    def know_nodes(self, nodes: Iterable[Node]) -> None:
        """Take the nodes as they are now."""
        self._nodes = {node.name: node for node in nodes}
        self._changed()

    def know_node(self, name: str, node: Node | None) -> None:
        """Take a change of a node; None: no new pod comes to it."""
        if self._nodes.get(name) != node:
            _put(self._nodes, name, node)
            self._changed()

    def know_pods(self, pods: Mapping[str, Claim]) -> None:
        """Take the pods as they are now, by namespace and name."""
        self._pods = dict(pods)
        self._see(self._pods.values())
        self._changed()

    def know_pod(self, key: str, claim: Claim | None) -> None:
        """Take a change of a pod; None: it holds nothing any more."""
        if self._pods.get(key) != claim:
            _put(self._pods, key, claim)
            if claim is not None:
                self._see([claim])
            self._changed()

    # --- what spawners ask ---

    def ask(
        self,
        key: str,
        user: str,
        place: Place,
        number: int,
        *,
        mark: str,
        groups: tuple[str, ...] = (),
        when_served: Callable[[], None] | None = None,
    ) -> bool:
        """Reserve devices for a start, or take a place in the queue.

        Parameters
        ----------
        key, user, place, number, groups
            As in `Request`.
        mark
            Of the start; its pod carries it.
        when_served
            Called once the devices are reserved, if that is not at once; None: do not wait.

        Returns
        -------
        bool
            Whether the devices are reserved. If not, and `when_served` is None, nothing has changed.
        """
        self.release(key)
        request = Request(key, user, place, number, groups, next(self._came))
        served = []
        self._waiting[key] = (request, mark, lambda: served.append(True))
        self._order = None
        self.serve()
        if served:
            return True
        if when_served is None:
            del self._waiting[key]
            self._order = None
        else:
            self._waiting[key] = (request, mark, when_served)
        return False

    def restore(
        self, key: str, user: str, place: Place, number: int, *, mark: str, groups: tuple[str, ...]
    ) -> None:
        """Remember what a server has got from a hub before this one: its pod tells whether it still has."""
        request = Request(key, user, place, number, groups, next(self._came))
        self._granted[key] = _Grant(request, self._shares().group_for(request)[1], mark, seen=True)

    def release(self, key: str) -> None:
        """Forget what a server has got or waits for."""
        if self._waiting.pop(key, None) is not None:
            self._order = None
        if self._granted.pop(key, None) is not None:
            self._changed()

    def serve(self) -> None:
        """Give what is free to those who wait, in the order of the queue."""
        if not self._waiting:
            return
        if not self.counted:
            for key in list(self._waiting):
                self._grant(key)
            return
        layout = self._laid_out()
        while self._waiting:
            chosen = to_serve(
                self._ordered(),
                lambda request: layout.fits(request.place, request.number),
                layout.shared,
            )
            if chosen is None:
                return
            self._grant(chosen.key)

    @property
    def waiting(self) -> int:
        """How many servers wait."""
        return len(self._waiting)

    def position(self, key: str) -> int | None:
        """Tell a waiting server's place among those who wait for the same devices, from 1."""
        return position(self._ordered(), key, self._laid_out().shared)

    def stock(self, place: Place, *, without: str = "") -> Stock:
        """Count the devices for pods of a kind, not counting what one server has reserved."""
        return self._laid_out(without).stock(place)

    def models(
        self, places: Iterable[Place], names: Iterable[str] = (), *, without: str = ""
    ) -> tuple[GpuModel, ...] | None:
        """Count devices by resource and product, on the nodes where these kinds of pods can run.

        Parameters
        ----------
        places
            Kinds of pods.
        names
            Products as the catalogue writes them; labels of nodes have dashes for blanks.
        without
            Key of a server whose reservation does not count.

        Returns
        -------
        tuple of GpuModel or None
            None if nodes and pods are not known.
        """
        if not self.counted:
            return None
        return self._laid_out(without).models(places, names)

    def holders(self) -> list[Holder]:
        """List who has devices, pods of other namespaces too."""
        return [
            Holder(
                self._nodes[claim.node].product if claim.node in self._nodes else "",
                resource,
                claim.owner,
                number,
            )
            for claim in self._pods.values()
            for resource, number in claim.devices.items()
        ]

    # --- inside ---

    def _changed(self) -> None:
        self._layout = self._order = None

    def _see(self, claims: Iterable[Claim]) -> None:
        marks = {claim.mark for claim in claims if claim.mark}
        for grant in self._granted.values():
            grant.seen = grant.seen or grant.mark in marks

    def _grant(self, key: str) -> None:
        request, mark, tell = self._waiting.pop(key)
        grant = _Grant(request, self._shares().group_for(request)[1], mark, seen=False)
        self._granted[key] = grant
        self._order = None
        if self._layout is not None:
            self._layout.add(_claim(grant))
        tell()

    def _laid_out(self, without: str = "") -> Layout:
        if self._layout is not None and without not in self._granted:
            return self._layout
        open_grants = [
            _claim(grant)
            for key, grant in self._granted.items()
            if not grant.seen and key != without
        ]
        mark = self._granted[without].mark if without in self._granted else None
        pods = [claim for claim in self._pods.values() if mark is None or claim.mark != mark]
        layout = Layout(self._nodes.values(), [*pods, *open_grants])
        if mark is None:
            self._layout = layout
        return layout

    def _held(self) -> list[tuple[str, str, int]]:
        there = {claim.mark for claim in self._pods.values()}
        return [
            (grant.request.user, grant.group, grant.request.number)
            for grant in self._granted.values()
            if not grant.seen or grant.mark in there
        ]

    def _shares(self) -> Shares:
        shares = Shares(self.weights)
        for user, group, number in self._held():
            shares.add(user, group, number)
        return shares

    def _ordered(self) -> list[Request]:
        if self._order is None:
            waiting = [request for request, _, _ in self._waiting.values()]
            self._order = in_order(waiting, self._held(), self.weights)
        return self._order


def _claim(grant: _Grant) -> Claim:
    request = grant.request
    devices = {request.place.resource: request.number}
    return Claim(devices, place=request.place, mark=grant.mark, owner=request.user)


def _put(table: dict[str, _T], key: str, value: _T | None) -> None:
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value
