"""Whom users' pods have to reach, by the facility file alone. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from af_hub.errors import ConfigError
from af_hub.facility.addresses import DEFAULT_PORTS, is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator

    from af_hub.facility import FacilityConfig
    from af_hub.kube_values.section import Pods

_SERVICE: Final = re.compile(
    r"(?P<name>[a-z0-9-]{1,63})(\.(?P<namespace>[a-z0-9-]{1,63})\.svc(\.[a-z0-9.-]+)?)?"
)
_OWN: Final = {"hub", "proxy-public", "proxy-http"}
"""The chart's own Services: it lets users' pods reach what is behind them by itself."""


@dataclass(frozen=True, slots=True)
class Service:
    """A Kubernetes Service.

    Parameters
    ----------
    name
        Its name, which its pods carry as ``app.kubernetes.io/name``.
    namespace
        Where it is; None: beside the hub.
    """

    name: str
    namespace: str | None


@dataclass(frozen=True, slots=True)
class Target:
    """One connection that users' pods make.

    Parameters
    ----------
    why
        Key of the facility file that says so.
    place
        A Service, an address, or a name outside of the cluster.
    port
        TCP port.
    """

    why: str
    place: Service | IPv4Address | IPv6Address | str
    port: int

    def __str__(self) -> str:
        """Say it in one line."""
        match self.place:
            case Service(name, None):
                place = f"Service {name}"
            case Service(name, namespace):
                place = f"Service {name} in {namespace}"
            case place:
                place = str(place)
        return f"{self.why}: {place}, port {self.port}"


def targets(facility: FacilityConfig, pods: Pods) -> tuple[Target, ...]:
    """List the connections that users' pods make beside those to hub, proxy and DNS.

    Raises
    ------
    ConfigError
        ``kube-loopback`` for an address that is each pod's own.
    """
    found = (target(why, address, pods) for why, address in _addresses(facility, pods))
    return tuple(one for one in found if one is not None)


def identity_provider(facility: FacilityConfig, pods: Pods) -> Target:
    """Return where the identity provider is."""
    found = target("identity.issuer", facility.identity.issuer, pods)
    if found is None:
        raise ConfigError("kube-loopback", "identity.issuer: it is no part of the chart.")
    return found


def target(why: str, address: str, pods: Pods) -> Target | None:
    """Read one address; None if the chart allows the connection by itself.

    Raises
    ------
    ConfigError
        ``kube-loopback`` for an address that is each pod's own.
    """
    parts = urlsplit(address)
    host = (parts.hostname or "").lower()
    if is_loopback(host) or host == "::1":
        raise ConfigError(
            "kube-loopback",
            f"{why}: {host} is each pod's own machine; write the name of a Service or a host.",
        )
    port = parts.port or DEFAULT_PORTS[parts.scheme]
    try:
        return Target(why, ip_address(host), port)
    except ValueError:
        pass
    service = _service(host, pods)
    if service is not None and service.namespace is None and service.name in _OWN:
        return None
    return Target(why, service or host, port)


def _service(host: str, pods: Pods) -> Service | None:
    """Tell a Service by its name in the cluster's DNS: one word, or ``NAME.NAMESPACE.svc``."""
    found = _SERVICE.fullmatch(host)
    if found is None:
        return None
    namespace = found["namespace"]
    return Service(found["name"], None if namespace == pods.namespace else namespace)


def _addresses(facility: FacilityConfig, pods: Pods) -> Iterator[tuple[str, str]]:
    """Walk through the addresses that Labs open, each with its key in the facility file."""
    yield "identity.issuer", facility.identity.issuer
    for door in facility.storage:
        yield f"storage.{door.name}", door.url
    for position, rule in enumerate(facility.cache.rules):
        yield f"cache.rules[{position}]", rule.replace
    if facility.rucio is not None:
        yield "rucio.url", facility.rucio.url
    if facility.compute.gateway is not None:
        yield "compute.gateway.address", facility.compute.gateway.address
        yield "compute.gateway.proxy_address", facility.compute.gateway.proxy_address
    if pods.hub_url is not None:
        yield "kubernetes.hub_url", pods.hub_url
