"""What egress rules of a NetworkPolicy let through, by Kubernetes' own words. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HERE = "facility"
"""Namespace of the policy."""


@dataclass(frozen=True)
class Pod:
    """A pod that is connected to.

    Parameters
    ----------
    labels
        Its labels.
    namespace
        Where it is.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    namespace: str = HERE


def permits(
    rules: Iterable[Mapping[str, Any]],
    to: Pod | IPv4Address | IPv6Address,
    port: int,
    protocol: str = "TCP",
) -> bool:
    """Tell whether a connection is let through."""
    return any(
        _port_fits(rule.get("ports"), port, protocol)
        and (not rule.get("to") or any(_peer_fits(peer, to) for peer in rule["to"]))
        for rule in rules
    )


def _port_fits(ports: list[dict[str, Any]] | None, port: int, protocol: str) -> bool:
    if not ports:
        return True
    return any(
        one.get("protocol", "TCP") == protocol and one.get("port", port) == port for one in ports
    )


def _peer_fits(peer: Mapping[str, Any], to: Pod | IPv4Address | IPv6Address) -> bool:
    if "ipBlock" in peer:
        block = peer["ipBlock"]
        return (
            not isinstance(to, Pod)
            and to in ip_network(block["cidr"])
            and not any(to in ip_network(one) for one in block.get("except") or [])
        )
    if not isinstance(to, Pod):
        return False
    names = {"kubernetes.io/metadata.name": to.namespace}
    if "namespaceSelector" in peer:
        there = _selects(peer["namespaceSelector"], names)
    else:
        there = to.namespace == HERE
    return there and _selects(peer.get("podSelector") or {}, to.labels)


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    assert not set(selector) - {"matchLabels"}, "only matchLabels are used here"
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
