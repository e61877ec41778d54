"""Which devices are free, node by node. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from af_hub.spawner.kube.gpus.count import label_of
from af_hub.spawner.policy.site import GpuModel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from af_hub.spawner.kube.gpus.count import Claim, Node, Place


@dataclass(frozen=True, slots=True)
class Stock:
    """What there is for pods of one kind.

    Parameters
    ----------
    total
        Devices.
    free
        Those that nobody holds.
    most
        Devices of the largest node: nobody can have more.
    """

    total: int
    free: int
    most: int


class Layout:
    """Free devices of each node at one moment.

    What no node has taken yet is laid where the least is left over, so that a place for a large
    request is not counted twice. The scheduler may choose otherwise; then a pod waits.

    Parameters
    ----------
    nodes
        Nodes that take pods.
    claims
        What is held; those without a node in the order of their coming.
    """

    def __init__(self, nodes: Iterable[Node], claims: Iterable[Claim]) -> None:
        self._nodes = {node.name: node for node in nodes}
        self._free = {
            (node.name, resource): number
            for node in self._nodes.values()
            for resource, number in node.devices.items()
        }
        self._places: dict[Place, tuple[Node, ...]] = {}
        homeless = []
        for claim in claims:
            if claim.node:
                self._take(claim.node, claim)
            else:
                homeless.append(claim)
        for claim in homeless:
            self.add(claim)

    def nodes_of(self, place: Place) -> tuple[Node, ...]:
        """List the nodes where a pod of this kind can run, whatever is free there."""
        known = self._places.get(place)
        if known is None:
            known = tuple(node for node in self._nodes.values() if place.takes(node))
            self._places[place] = known
        return known

    def stock(self, place: Place) -> Stock:
        """Count the devices for pods of this kind."""
        nodes = self.nodes_of(place)
        numbers = [node.devices[place.resource] for node in nodes]
        free = sum(self.free_on(node.name, place.resource) for node in nodes)
        return Stock(sum(numbers), free, max(numbers, default=0))

    def models(self, places: Iterable[Place], names: Iterable[str]) -> tuple[GpuModel, ...]:
        """Count devices by resource and product, on the nodes where these kinds of pods can run.

        Parameters
        ----------
        places
            Kinds of pods.
        names
            Products as the catalogue writes them; labels of nodes have dashes for blanks.
        """
        written = {label_of(name): name for name in names}
        found: dict[tuple[str, str], GpuModel] = {}
        for resource, name in sorted(
            {(place.resource, node.name) for place in places for node in self.nodes_of(place)}
        ):
            product = self._nodes[name].product
            blank = GpuModel(written.get(product, product), 0, 0, resource)
            known = found.get((resource, product), blank)
            found[resource, product] = replace(
                known,
                total=known.total + self._nodes[name].devices[resource],
                free=known.free + self.free_on(name, resource),
            )
        return tuple(found.values())

    def free_on(self, node: str, resource: str) -> int:
        """Count what is free on one node; more than there is can be held, when a device breaks."""
        return max(0, self._free[node, resource])

    def fits(self, place: Place, number: int) -> bool:
        """Tell whether one node has so many free."""
        return self._roomiest(place, number) is not None

    def shared(self, one: Place, other: Place) -> bool:
        """Tell whether two kinds of pods take from the same devices."""
        if one.resource != other.resource:
            return False
        if one == other:
            return True
        theirs = {node.name for node in self.nodes_of(other)}
        return any(node.name in theirs for node in self.nodes_of(one))

    def add(self, claim: Claim) -> None:
        """Lay down a claim without a node; one that fits nowhere takes nothing."""
        if claim.place is None:
            return
        number = claim.devices.get(claim.place.resource, 0)
        name = self._roomiest(claim.place, number)
        if name is not None:
            self._take(name, claim)

    def _roomiest(self, place: Place, number: int) -> str | None:
        """Find the node that is fullest and still has room."""
        rooms = [
            (free, node.name)
            for node in self.nodes_of(place)
            if (free := self._free[node.name, place.resource]) >= number
        ]
        return min(rooms)[1] if rooms else None

    def _take(self, node: str, claim: Claim) -> None:
        for resource, number in claim.devices.items():
            if (node, resource) in self._free:
                self._free[node, resource] -= number
