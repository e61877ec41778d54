"""Egress rules of network policies. Pure.

A policy sees packets after the cluster has translated a Service's address, so it names pods and
their ports: the pods of a Service listen at the port that stands in the facility file, and carry
its name as ``app.kubernetes.io/name``. Hosts outside have no names there either: whoever may reach
one of them at a port may reach every public address at that port.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from af_hub.kube_values.doors import Service

if TYPE_CHECKING:
    from collections.abc import Iterable

    from af_hub.kube_values.doors import Target
    from af_hub.kube_values.places import Network

NAME_LABEL: Final = "app.kubernetes.io/name"
"""Label by which pods say which Service they are behind."""

NAMESPACE_LABEL: Final = "kubernetes.io/metadata.name"
"""Label that Kubernetes gives to each namespace: its name."""

PRIVATE: Final = (
    "10.0.0.0/8",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
)
"""IPv4 that is not the internet: sites, clusters, and the clouds' metadata servers."""

PRIVATE_6: Final = ("fc00::/7", "fe80::/10")
"""The same of IPv6."""

METADATA_NETWORK: Final = "169.254.0.0/16"
"""That of `PRIVATE` in which clouds give credentials to whatever runs on a node."""

CLUSTER_PORTS: Final = (443, 5432, 6443)
"""Where API servers and PostgreSQL listen."""

Rule = dict[str, Any]


def rules(found: Iterable[Target], networks: tuple[Network, ...]) -> list[Rule]:
    """Write the egress rules for these connections and no more.

    Parameters
    ----------
    found
        The connections.
    networks
        Private networks that hosts outside of the cluster may be in.

    Returns
    -------
    list
        For ``NetworkPolicy.spec.egress``; each place once, its ports in order.
    """
    ports: dict[Any, set[int]] = {}
    for one in found:
        # all names outside of the cluster stand for the same addresses
        place = None if isinstance(one.place, str) else one.place
        ports.setdefault(place, set()).add(one.port)
    return [_rule(peers(place, networks), numbers) for place, numbers in ports.items()]


def proxy_rule(ports: Iterable[int]) -> Rule:
    """Let a pod reach the chart's proxy at these ports of its pod."""
    selector = {NAME_LABEL: "jupyterhub", "app.kubernetes.io/component": "proxy"}
    return _rule([{"podSelector": {"matchLabels": selector}}], set(ports))


def somewhere_private(ports: Iterable[int] = CLUSTER_PORTS) -> Rule:
    """Let a pod reach private addresses at these ports, for want of better knowledge."""
    private = [each for each in (*PRIVATE, *PRIVATE_6[:1]) if each != METADATA_NETWORK]
    return _rule([{"ipBlock": {"cidr": each}} for each in private], set(ports))


def peers(place: Any, networks: tuple[Network, ...]) -> list[dict[str, Any]]:
    """Say who is meant: the pods of a Service, one address, or (None) hosts outside."""
    if isinstance(place, Service):
        peer: dict[str, Any] = {"podSelector": {"matchLabels": {NAME_LABEL: place.name}}}
        if place.namespace is not None:
            peer["namespaceSelector"] = {"matchLabels": {NAMESPACE_LABEL: place.namespace}}
        return [peer]
    if place is not None:
        return [{"ipBlock": {"cidr": f"{place}/{place.max_prefixlen}"}}]
    return [
        {"ipBlock": {"cidr": "0.0.0.0/0", "except": list(PRIVATE)}},
        {"ipBlock": {"cidr": "::/0", "except": list(PRIVATE_6)}},
        *({"ipBlock": {"cidr": str(network)}} for network in networks),
    ]


def _rule(to: list[dict[str, Any]], ports: set[int]) -> Rule:
    return {"to": to, "ports": [{"protocol": "TCP", "port": port} for port in sorted(ports)]}
