"""What this machine has to have for a cluster; each lack has one sentence with the next step."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from af_hub.errors import SetupError
from testbed.kube.host import program_path, run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed.kube.settings import Settings

PACKAGES: Final[Mapping[str, str]] = {
    "etcd": "etcd-server",
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "ip": "iproute2",
    "sysctl": "procps",
    "nsenter": "util-linux",
    "iptables": "iptables",
    "nft": "nftables",
    "/usr/lib/cni/ptp": "containernetworking-plugins",
    "/usr/lib/cni/host-local": "containernetworking-plugins",
    "/usr/lib/cni/loopback": "containernetworking-plugins",
}
"""Debian's package of each program."""

KERNEL: Final = (5, 4)
"""The oldest kernel, by its first two numbers."""

GIGABYTES: Final = 3.0
"""Free space that a cluster needs; with less than 1 GiB the kubelet evicts pods."""


def find_programs() -> dict[str, str]:
    """Return the path of each program.

    Raises
    ------
    SetupError
        ``kube-programs`` with the packages to install.
    """
    found, missing = {}, {}
    for name, package in PACKAGES.items():
        path = shutil.which(name, path=program_path())
        if path:
            found[name] = path
        else:
            missing[Path(name).name] = package
    if missing:
        packages = " ".join(sorted(set(missing.values())))
        raise SetupError(
            "kube-programs",
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing; "
            f"on Debian: apt install {packages}, or make system.",
        )
    return found


def kernel_is_old(release: str) -> bool:
    """Tell whether a kernel is older than the cluster can do with."""
    numbers = re.match(r"(\d+)\.(\d+)", release)
    return bool(numbers) and tuple(map(int, numbers.groups())) < KERNEL if numbers else False


def check_machine() -> None:
    """Check user and kernel.

    Raises
    ------
    SetupError
        ``kube-root`` or ``kube-kernel``.
    """
    release = os.uname().release
    if kernel_is_old(release):
        wanted = ".".join(map(str, KERNEL))
        raise SetupError(
            "kube-kernel",
            f"The kernel {release} is too old for the cluster, which needs {wanted} or newer.",
        )
    if os.geteuid() != 0:
        raise SetupError(
            "kube-root",
            "The cluster needs root, for namespaces and mounts of its own; "
            "elsewhere point KUBECONFIG at a cluster of yours, kind or k3d.",
        )


def check_disk(folder: Path, gigabytes: float) -> None:
    """Check the free space.

    Parameters
    ----------
    folder
        A folder on the disk; it exists.
    gigabytes
        What is needed, in GiB.

    Raises
    ------
    SetupError
        ``kube-disk``.
    """
    free = shutil.disk_usage(folder).free / 2**30
    if free < gigabytes:
        raise SetupError(
            "kube-disk",
            f"{folder} has {free:.1f} GiB left and the cluster needs {gigabytes:.0f}: "
            "free some, or set AF_KUBE_HOME to a folder on another disk.",
        )


def check_addresses(settings: Settings) -> None:
    """Check that nobody else uses the addresses.

    Raises
    ------
    SetupError
        ``kube-addresses``.
    """
    ours = [settings.pods, settings.services]
    ours.append(ipaddress.IPv4Network(f"{settings.node_ip}/30", strict=False))
    for route in json.loads(run("ip", "-json", "-4", "route", "show") or "[]"):
        if route["dst"] == "default" or route.get("dev") == settings.link:
            continue
        theirs = ipaddress.IPv4Network(route["dst"])
        if any(theirs.overlaps(network) for network in ours):
            raise SetupError(
                "kube-addresses",
                f"{theirs} is in use on {route.get('dev', 'this machine')}; "
                "set AF_KUBE_NUMBER to another number, 0 to 15.",
            )
