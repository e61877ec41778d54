"""Parts on demand: metrics-server for ``kubectl top`` and autoscalers, KWOK for many nodes and pods.

``make kube-up ARGS="--with metrics --with kwok"``, or `Cluster.add` in a test.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from testbed.kube.recipes import METRICS_PORT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from testbed.kube.settings import Settings

_MANIFESTS: Final = Path(__file__).with_name("manifests")


@dataclass(frozen=True)
class Extra:
    """A part on demand.

    Parameters
    ----------
    name
        Of its family of programs, of its process, of its user and of its manifest.
    command
        Makes its command line from the folder of its programs.
    """

    name: str
    command: Callable[[Settings, Path], list[str]]

    def manifest(self, settings: Settings) -> str:
        """Return its objects."""
        authority = base64.b64encode((settings.pki / "ca.crt").read_bytes()).decode()
        text = (_MANIFESTS / "extras" / f"{self.name}.yaml").read_text()
        return text.replace("@NODE_IP@", settings.node_ip).replace("@CA@", authority)


def _metrics(settings: Settings, folder: Path) -> list[str]:
    pki = settings.pki
    kubeconfig = pki / "metrics.kubeconfig"
    return [
        str(folder / "metrics-server"),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--bind-address={settings.node_ip}",
        f"--secure-port={METRICS_PORT}",
        f"--tls-cert-file={pki / 'metrics-serving.crt'}",
        f"--tls-private-key-file={pki / 'metrics-serving.key'}",
        f"--kubelet-certificate-authority={pki / 'ca.crt'}",
        "--kubelet-preferred-address-types=InternalIP",
        # the resolution of ten seconds asks for a shorter patience
        *("--metric-resolution=10s", "--kubelet-request-timeout=5s"),
    ]


def _kwok(settings: Settings, folder: Path) -> list[str]:
    # without stages it ends with "no stages found"
    stages = (f"--config={path}" for path in sorted((folder / "stages").glob("*.yaml")))
    return [
        str(folder / "kwok"),
        f"--kubeconfig={settings.pki / 'kwok.kubeconfig'}",
        *stages,
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
        "--node-lease-duration-seconds=40",
    ]


ALL: Final[Mapping[str, Extra]] = {
    "metrics": Extra("metrics", _metrics),
    "kwok": Extra("kwok", _kwok),
}
