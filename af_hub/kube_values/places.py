"""Where things are in the hub's pod and around it: names that values and documents share. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from af_hub.errors import ConfigError

FOLDER: Final = PurePosixPath("/etc/analysis-facility")
"""Folder of the facility file in the hub's pod; relative paths in the file count from it."""

HUB_FILE: Final = FOLDER / "facility.yaml"
"""The facility file in the hub's pod."""

SECRETS: Final = FOLDER / "secrets"
"""Where the Kubernetes secret `SECRET_NAME` is mounted, one file for each of its keys."""

SECRET_NAME: Final = "analysis-facility"  # noqa: S105  the secret's name
"""Kubernetes secret that the administrator makes from files."""

CLIENT_SECRET: Final = "client-secret"  # noqa: S105  a file's name
"""Key, and so file name, of the hub's client secret at the identity provider."""

METADATA: Final = ip_address("169.254.169.254")
"""Where clouds give credentials to whatever runs on a node."""

_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_PATH: Final = re.compile(r"(/[A-Za-z0-9._~@-]+)*/?")

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Site:
    """What no facility file says: where the hub and its surroundings are.

    Parameters
    ----------
    public_url
        Address that users open, ``https://HOST/`` or ``https://HOST/BASE/``; None leaves it to the
        hub to find out from requests.
    subdomains
        Whether each user gets a host name of their own below that of the hub.
    networks
        Private networks that have storage, catalogue or identity provider in them.
    hub_reaches
        Where the cluster's API server and the database are, each ``HOST:PORT``; empty: not known.
    """

    public_url: str | None = None
    subdomains: bool = False
    networks: tuple[Network, ...] = ()
    hub_reaches: tuple[str, ...] = ()

    @classmethod
    def read(
        cls,
        *,
        public_url: str | None,
        subdomains: bool | None,
        users_bring_images: bool = False,
        networks: tuple[str, ...] = (),
        hub_reaches: tuple[str, ...] = (),
    ) -> Site:
        """Check what an administrator typed.

        Parameters
        ----------
        public_url, networks, hub_reaches
            See `Site`.
        subdomains
            See `Site`; None: where users bring images, since nothing else keeps their pages apart.
        users_bring_images
            Whether the facility file lets any.

        Raises
        ------
        ConfigError
            ``kube-public-url``, ``kube-network`` or ``kube-hub-reaches`` with what would be right.
        """
        on = users_bring_images if subdomains is None else subdomains
        if on and public_url is None:
            why = "Users bring images, so each" if subdomains is None else "Each user"
            otherwise = ", or --no-subdomains" if subdomains is None else ""
            raise ConfigError(
                "kube-public-url",
                f"{why} needs a host name below the hub's: give --public-url{otherwise}.",
            )
        url = None if public_url is None else _public(public_url)
        reached = tuple(map(_reached, hub_reaches))
        return cls(url, on, tuple(map(_network, networks)), reached)

    @property
    def host(self) -> str | None:
        """Host of the hub, without port."""
        return None if self.public_url is None else urlsplit(self.public_url).hostname

    @property
    def origin(self) -> str | None:
        """The address without its path."""
        return None if self.public_url is None else "/".join(self.public_url.split("/")[:3])

    @property
    def base(self) -> str:
        """Path below which everything is, with slashes around it."""
        return "/" if self.public_url is None else urlsplit(self.public_url).path


def _public(text: str) -> str:
    """Take an address by which browsers can come: https, a name, no query."""
    parts = urlsplit(text)
    try:
        port = parts.port
    except ValueError:
        port = 0
    right = (
        parts.scheme == "https"
        and _HOST.fullmatch(parts.hostname or "") is not None
        and "@" not in parts.netloc
        and port != 0
        and _PATH.fullmatch(parts.path) is not None
        and not parts.query
        and not parts.fragment
    )
    if not right:
        raise ConfigError(
            "kube-public-url", f"{text[:80]!r} is not of the form https://hub.example.org/."
        )
    place = parts.hostname if port is None else f"{parts.hostname}:{port}"
    return f"https://{place}{parts.path.rstrip('/')}/"


def _network(text: str) -> Network:
    """Take a network that is a site's own, not everything."""
    try:
        network = ip_network(text)
    except ValueError as error:
        raise ConfigError("kube-network", f"{text[:80]!r}: {error}.") from None
    if network.prefixlen < 8:
        raise ConfigError("kube-network", f"{network} is more than a site: /8 is the widest.")
    if network.version == METADATA.version and METADATA in network:
        raise ConfigError(
            "kube-network",
            f"{network} holds {METADATA}, where a cloud gives a node's credentials to anybody.",
        )
    if network.is_loopback:
        raise ConfigError("kube-network", f"{network} is each pod's own machine.")
    return network


def _reached(text: str) -> str:
    """Take an address or a name with a port."""
    host, colon, port = text.rpartition(":")
    plain = host.removeprefix("[").removesuffix("]")
    try:
        named = ip_address(plain).version == 6
        right = named == host.startswith("[") and ip_address(plain) != METADATA
    except ValueError:
        right = _HOST.fullmatch(host) is not None
    if not (colon and right and port.isdecimal() and 0 < int(port) < 65536):
        raise ConfigError(
            "kube-hub-reaches",
            f"{text[:80]!r} is not of the form ADDRESS:PORT or NAME.NAMESPACE.svc:PORT.",
        )
    return text
