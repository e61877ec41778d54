"""Names, folders and addresses of one cluster."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from af_hub.errors import SetupError

LONGEST_HOME = 60
"""Characters: the path of a Unix socket below it may have 107."""

MOST = 16
"""Clusters that fit on one machine at a time."""


@dataclass(frozen=True)
class Settings:
    """One cluster.

    Parameters
    ----------
    home
        Everything it writes is below.
    name
        Of its network namespace and its control groups.
    number
        Picks its addresses, 0 to 15: clusters that run at the same time need different ones.
    """

    home: Path
    name: str = "afkube"
    number: int = 0

    def __post_init__(self) -> None:
        """Refuse what would fail later, and what would be deleted by mistake."""
        if not re.fullmatch(r"[a-z][a-z0-9]{0,11}", self.name):
            raise SetupError(
                "kube-name",
                f"AF_KUBE_NAME is {self.name!r}; it takes up to 12 small letters and digits.",
            )
        if not 0 <= self.number < MOST:
            raise SetupError("kube-number", f"AF_KUBE_NUMBER goes from 0 to {MOST - 1}.")
        if not self.home.is_absolute() or len(str(self.home)) > LONGEST_HOME:
            raise SetupError(
                "kube-home",
                f"AF_KUBE_HOME is {self.home}; it takes an absolute path of up to "
                f"{LONGEST_HOME} characters.",
            )

    @property
    def bin(self) -> Path:
        """Return the folder of built programs, kept."""
        return self.home / "bin"

    @property
    def store(self) -> Path:
        """Return containerd's folder of images, kept."""
        return self.home / "store"

    @property
    def images(self) -> Path:
        """Return the folder of archives that each start brings into the store, kept."""
        return self.home / "images"

    @property
    def run(self) -> Path:
        """Return the folder of everything that ends with the cluster."""
        return self.home / "run"

    @property
    def kubeconfig(self) -> Path:
        """Return the administrator's way in."""
        return self.home / "kubeconfig"

    @property
    def lock(self) -> Path:
        """Return the file that is locked while the cluster is brought up or down."""
        return self.home / "lock"

    @property
    def users(self) -> Path:
        """Return the file that each test run locks, shared, while it uses the cluster."""
        return self.home / "users"

    @property
    def borrowed(self) -> Path:
        """Return the file that says: tests brought this cluster up, so they take it down."""
        return self.run / "borrowed"

    @property
    def netns(self) -> Path:
        """Return the handle of the network namespace."""
        return Path("/run/netns") / self.name

    @property
    def link(self) -> str:
        """Return the name of the host's end of the link into the namespace."""
        return f"{self.name}h"

    @property
    def node(self) -> str:
        """Return the node's name."""
        return "node1"

    @property
    def _link_network(self) -> IPv4Network:
        return IPv4Network((0x0A620000 + 4 * self.number, 30))  # 10.98.0.0

    @property
    def host_ip(self) -> str:
        """Return the host's address as the node sees it."""
        return str(self._link_network[1])

    @property
    def node_ip(self) -> str:
        """Return the node's address, the API server's too."""
        return str(self._link_network[2])

    @property
    def pods(self) -> IPv4Network:
        """Return the addresses of pods."""
        return IPv4Network((0x0AF40000 + 0x1000 * self.number, 20))  # 10.244.0.0

    @property
    def services(self) -> IPv4Network:
        """Return the addresses of Services."""
        return IPv4Network((0x0A600000 + 0x1000 * self.number, 20))  # 10.96.0.0

    @property
    def api_ip(self) -> str:
        """Return the address of the Service `kubernetes`."""
        return str(self.services[1])

    @property
    def dns_ip(self) -> str:
        """Return the address of the Service `kube-dns`."""
        return str(self.services[10])

    @property
    def server(self) -> str:
        """Return the API server's address, from the host too."""
        return f"https://{self.node_ip}:6443"

    @property
    def socket(self) -> Path:
        """Return containerd's socket."""
        return self.run / "containerd.sock"

    @property
    def pki(self) -> Path:
        """Return the folder of keys and certificates."""
        return self.run / "pki"

    @property
    def logs(self) -> Path:
        """Return the folder of the parts' logs."""
        return self.run / "log"

    @property
    def pids(self) -> Path:
        """Return the folder of files that name the parts' processes."""
        return self.run / "pid"


def from_environment() -> Settings:
    """Read ``AF_KUBE_HOME``, ``AF_KUBE_NAME`` and ``AF_KUBE_NUMBER``."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = os.environ.get("AF_KUBE_HOME") or cache / "analysis-facility" / "kube"
    number = os.environ.get("AF_KUBE_NUMBER") or "0"
    if not number.isdecimal():
        raise SetupError("kube-number", f"AF_KUBE_NUMBER goes from 0 to {MOST - 1}.")
    return Settings(Path(home), os.environ.get("AF_KUBE_NAME") or "afkube", int(number))
