"""What every part of a facility on one machine has to know about the others."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from af_hub.embedded.layout import Layout
    from af_hub.facility import FacilityConfig

LOOPBACK = "127.0.0.1"
"""Internal ports are bound to this address only, whatever ``--host`` says."""

HERE = (LOOPBACK, "localhost")
"""Hosts by which browsers reach what is bound to `LOOPBACK`."""


@dataclass(frozen=True, slots=True)
class Ports:
    """TCP ports of one facility; all but `public` are on loopback only.

    Parameters
    ----------
    public
        The address that users open: configurable-http-proxy.
    hub
        JupyterHub itself, behind the proxy.
    proxy_api
        The proxy's REST API, for the hub.
    iam_https
        The development IAM's machine endpoints.
    iam_login
        The development IAM's login page, plain http so that no browser warns.
    storage
        The WebDAV storage server.
    gateway
        Dask Gateway's API.
    gateway_proxy_http
        Listener of Dask Gateway's proxy for http; nothing is routed to it from outside.
    gateway_proxy_tcp
        Listener of Dask Gateway's proxy for TLS connections to schedulers.
    gateway_proxy_api
        REST API of Dask Gateway's proxy, for the gateway.
    xcache
        The XCache's door for ``root://``.
    xcache_https
        The XCache's door for https.
    rucio
        The Rucio server.
    """

    public: int
    hub: int
    proxy_api: int
    iam_https: int
    iam_login: int
    storage: int
    gateway: int
    gateway_proxy_http: int
    gateway_proxy_tcp: int
    gateway_proxy_api: int
    xcache: int
    xcache_https: int
    rucio: int


@dataclass(frozen=True, slots=True)
class Wiring:
    """Everything a starter may need.

    Parameters
    ----------
    layout
        Paths below the data folder.
    ports
        Ports of all parts.
    host
        Address that the public port is bound to, and that browsers use.
    instance
        Stable id of the data folder; every process carries it as ``AF_INSTANCE``.
    facility
        The parsed facility file.
    facility_file
        Where `facility` was read from.
    xrootd_problem
        Why origin and cache do not run on this machine, as the end of a sentence; None: they do.
    """

    layout: Layout
    ports: Ports
    host: str
    instance: str
    facility: FacilityConfig
    facility_file: Path
    xrootd_problem: str | None = None

    @property
    def public_url(self) -> str:
        """Address that browsers open, without trailing slash."""
        return f"http://{in_url(self.host)}:{self.ports.public}"

    @property
    def hub_api_url(self) -> str:
        """JupyterHub's REST API as services on this machine reach it, without the proxy."""
        return f"http://{LOOPBACK}:{self.ports.hub}/hub/api"

    @property
    def issuer(self) -> str:
        """Issuer of the development IAM, with its trailing slash."""
        return f"https://{LOOPBACK}:{self.ports.iam_https}/"

    @property
    def iam_login_url(self) -> str:
        """Login door of the development IAM, on the address that users open; no trailing slash."""
        return f"http://{in_url(self.host)}:{self.ports.iam_login}"

    @property
    def authorize_url(self) -> str:
        """Where the hub sends browsers to log in; empty where discovery says it.

        Discovery names the login door on loopback: the hub takes no http address beyond it from
        anybody. For browsers that come by another address, this facility knows its own IAM.
        """
        own = self.facility.identity.issuer.rstrip("/") == self.issuer.rstrip("/")
        return f"{self.iam_login_url}/authorize" if own and self.host not in HERE else ""

    @property
    def storage_url(self) -> str:
        """Address and token audience of the storage server, without trailing slash."""
        return f"https://{LOOPBACK}:{self.ports.storage}"

    @property
    def xcache_url(self) -> str:
        """The XCache's door for ``root://``, without trailing slash."""
        return f"root://{LOOPBACK}:{self.ports.xcache}"

    @property
    def xcache_https_url(self) -> str:
        """The XCache's door for https, without trailing slash."""
        return f"https://{LOOPBACK}:{self.ports.xcache_https}"

    @property
    def rucio_url(self) -> str:
        """The Rucio server, without trailing slash."""
        return f"http://{LOOPBACK}:{self.ports.rucio}"

    @property
    def gateway_url(self) -> str:
        """Dask Gateway's API on its own port, without trailing slash."""
        return f"http://{LOOPBACK}:{self.ports.gateway}"

    @property
    def gateway_public_url(self) -> str:
        """Dask Gateway's API as users reach it, as a service of the hub."""
        return f"{self.public_url}/services/dask-gateway"

    @property
    def gateway_proxy_url(self) -> str:
        """Address of Dask Gateway's TLS proxy for clients."""
        return f"gateway://{LOOPBACK}:{self.ports.gateway_proxy_tcp}"


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches what is bound to `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_every_address(host: str) -> bool:
    """Tell whether `host` stands for all addresses of this machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return host in {"", "0"}


def in_url(host: str) -> str:
    """Return `host` as it is written in a URL: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host else host
