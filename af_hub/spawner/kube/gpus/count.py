"""What the nodes of a cluster have, and what its pods hold. Pure.

Read from nodes and pods as the API server writes them; nothing else of them is kept, so a cluster
of ten thousand pods costs the hub what its graphics processors do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

MARK = "analysis-facility/server"
"""Annotation of a Lab's pod: the mark of the start that it belongs to."""

PRODUCT = "nvidia.com/gpu.product"
"""Label that NVIDIA's feature discovery gives nodes; blanks of the product's name are dashes."""

_OWNER = "hub.jupyter.org/username"
_DEVICE = re.compile(r"[a-z0-9.-]+/(gpu|mig-)[a-zA-Z0-9.-]*|gpu\.intel\.com/[a-zA-Z0-9._-]+")
_BARRING = frozenset({"NoSchedule", "NoExecute"})
_VIRTUAL = ("virtual-kubelet.io/", "virtual-node.interlink/")
_OVER = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True, slots=True)
class Node:
    """A node with graphics processors that pods can come to.

    Parameters
    ----------
    name
        Its name.
    devices
        Resource name to the number of devices.
    labels
        All of its labels.
    taints
        As (key, value, effect), only those that keep pods away.
    """

    name: str
    devices: Mapping[str, int]
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[tuple[str, str, str], ...] = ()

    @property
    def product(self) -> str:
        """Name of the model as the node's label writes it; empty if nobody has said."""
        return self.labels.get(PRODUCT, "")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pod can run.

    Parameters
    ----------
    resource
        Resource name of the devices it asks for.
    product
        Model that they must be; None takes any.
    selector
        Labels that the node must have.
    tolerations
        Of the pod, as Kubernetes writes them.
    """

    resource: str
    product: str | None = None
    selector: tuple[tuple[str, str], ...] = ()
    tolerations: tuple[tuple[str, str, str, str], ...] = ()

    def takes(self, node: Node) -> bool:
        """Tell whether a node of this kind is one for it, whatever is free there."""
        return (
            node.devices.get(self.resource, 0) > 0
            and (self.product is None or label_of(self.product) == node.product)
            and all(node.labels.get(key) == value for key, value in self.selector)
            and all(self._tolerates(taint) for taint in node.taints)
        )

    def _tolerates(self, taint: tuple[str, str, str]) -> bool:
        key, value, effect = taint
        return any(
            (their_effect in {"", effect})
            and (their_key == key or (not their_key and operator == "Exists"))
            and (operator == "Exists" or their_value == value)
            for their_key, operator, their_value, their_effect in self.tolerations
        )


@dataclass(frozen=True, slots=True)
class Claim:
    """What a pod holds, or a server that is about to get a pod.

    Parameters
    ----------
    devices
        Resource name to the number of devices.
    node
        Where it runs; empty: nowhere yet.
    place
        Where it can run; None: not known.
    mark
        Of the start that it belongs to; empty for pods that no hub of ours has made.
    owner
        User's name as the pod's label writes it, else the pod's namespace.
    """

    devices: Mapping[str, int]
    node: str = ""
    place: Place | None = None
    mark: str = ""
    owner: str = ""


def label_of(product: str) -> str:
    """Write a product's name as nodes' labels do."""
    return product.replace(" ", "-")


def read_node(raw: Mapping[str, Any], named: Collection[str] = ()) -> Node | None:
    """Read a node.

    Parameters
    ----------
    raw
        As the API server writes it.
    named
        Resources that are devices, beside those of the usual makers.

    Returns
    -------
    Node or None
        None if it has no devices, or if no new pod comes to it: cordoned, not ready, or virtual (what
        a virtual node says it has, somebody else gives out).
    """
    metadata, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
    labels = metadata.get("labels") or {}
    devices = _devices(status.get("allocatable") or {}, named)
    taints = tuple(
        (str(each.get("key", "")), str(each.get("value", "")), str(each["effect"]))
        for each in spec.get("taints") or ()
        if each.get("effect") in _BARRING
    )
    virtual = labels.get("type") == "virtual-kubelet" or any(
        key.startswith(_VIRTUAL) for key, _, _ in taints
    )
    ready = any(
        each.get("type") == "Ready" and each.get("status") == "True"
        for each in status.get("conditions") or ()
    )
    if not devices or spec.get("unschedulable") or virtual or not ready:
        return None
    return Node(metadata["name"], devices, dict(labels), taints)


def read_claim(raw: Mapping[str, Any], named: Collection[str] = ()) -> Claim | None:
    """Read a pod.

    Parameters
    ----------
    raw, named
        As for `read_node`.

    Returns
    -------
    Claim or None
        None if it holds no devices, or none any more; while it is being deleted it holds them.
    """
    metadata, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
    if status.get("phase") in _OVER:
        return None
    devices = _asked_for(spec, named)
    if not devices:
        return None
    node = spec.get("nodeName") or ""
    owner = (metadata.get("labels") or {}).get(_OWNER)
    return Claim(
        devices,
        node,
        None if node else _place(spec, next(iter(devices))),
        (metadata.get("annotations") or {}).get(MARK, ""),
        owner or metadata.get("namespace", ""),
    )


def _asked_for(spec: Mapping[str, Any], named: Collection[str]) -> dict[str, int]:
    """Add up what a pod asks for, as Kubernetes' scheduler does.

    Containers run together, and with the side cars; an init container runs alone with those side
    cars that stand before it.
    """
    together: dict[str, int] = {}
    largest: dict[str, int] = {}
    for container in spec.get("initContainers") or ():
        mine = _of_container(container, named)
        if container.get("restartPolicy") == "Always":
            _add(together, mine)
            mine = {}
        for name in {*mine, *together}:
            largest[name] = max(largest.get(name, 0), mine.get(name, 0) + together.get(name, 0))
    for container in spec.get("containers") or ():
        _add(together, _of_container(container, named))
    for name, number in largest.items():
        together[name] = max(together.get(name, 0), number)
    return together


def _of_container(container: Mapping[str, Any], named: Collection[str]) -> dict[str, int]:
    resources = container.get("resources") or {}
    # for devices both are the same, and a manifest may name only one
    amounts = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return _devices(amounts, named)


def _devices(amounts: Mapping[str, Any], named: Collection[str]) -> dict[str, int]:
    """Keep what are devices."""
    return {
        name: number
        for name, amount in amounts.items()
        if (name in named or _DEVICE.fullmatch(name)) and (number := _number(amount)) > 0
    }


def _number(amount: object) -> int:
    text = str(amount)
    return int(text) if text.isdecimal() else 0


def _add(total: dict[str, int], more: Mapping[str, int]) -> None:
    for name, number in more.items():
        total[name] = total.get(name, 0) + number


def _place(spec: Mapping[str, Any], resource: str) -> Place:
    """Read where a pod can run; affinities are the scheduler's business."""
    selector = dict(spec.get("nodeSelector") or {})
    return Place(
        resource,
        None,
        tuple(sorted(selector.items())),
        tolerations(spec.get("tolerations") or ()),
    )


def tolerations(raw: Iterable[Mapping[str, Any]]) -> tuple[tuple[str, str, str, str], ...]:
    """Read tolerations as (key, operator, value, effect), as `Place` holds them."""
    return tuple(
        (
            str(each.get("key") or ""),
            str(each.get("operator") or "Equal"),
            str(each.get("value") or ""),
            str(each.get("effect") or ""),
        )
        for each in raw
    )
