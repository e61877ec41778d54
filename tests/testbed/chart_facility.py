"""The facility in pods, with hub and proxy by the Zero-to-JupyterHub chart and our values.

Everything else (identity provider, storage, how users log in) is that of `testbed.kube_facility`.
"""

from __future__ import annotations

import secrets
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from string import Template
from typing import TYPE_CHECKING, Any

import yaml

from testbed.helm import VALUES, program, run
from testbed.kube_facility import MANIFESTS, RESTRICTED, START, PodFacility
from testbed.kube_volumes import volumes
from testbed.values import made

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.kube.cluster import Cluster

SCOPES = ["admin:users", "admin:servers", "access:servers", "read:hub"]


@dataclass
class ChartFacility(PodFacility):
    """A facility whose hub and proxy Helm has installed.

    Parameters
    ----------
    chart
        Folder of the chart.
    folder
        For Helm's files.
    """

    chart: Path | None = None
    folder: Path | None = None

    def deploy(self) -> None:
        """Install everything as the documents say, and wait until all pods are ready."""
        self._services()
        self._configure()
        text = (MANIFESTS / "parts.yaml").read_text()
        for name in ("iam", "storage"):
            # by this label the generated policies know the pods behind a Service
            text = text.replace(
                f"labels: {{app: {name}}}",
                f"labels: {{app: {name}, app.kubernetes.io/name: {name}}}",
            )
        text = Template(text).substitute(
            parts_image=self.images["parts"], lab_image=self.images["lab"]
        )
        self.kubectl("apply", "--server-side", "--filename=-", input=text)
        self._helm("hub-rights", VALUES / "charts" / "hub-rights")
        assert self.chart is not None
        self._helm("jupyterhub", self.chart, *self._values())
        for name in ("iam", "storage", "proxy", "hub"):
            wait = ("rollout", "status", f"deployment/{name}", f"--timeout={START:.0f}s")
            self.kubectl(*wait, timeout=START + 10)
        service = yaml.safe_load(self.kubectl("get", "service", "proxy-public", "--output=yaml"))
        assert service["spec"]["clusterIP"] == self.addresses["proxy-public"]
        self.kube.settle_policies()
        self.wait_for_hub()

    def _services(self) -> None:
        """Make the Services whose addresses must be known before; Helm takes over the proxy's."""
        owned = {
            "labels": {"app.kubernetes.io/managed-by": "Helm"},
            "annotations": {
                "meta.helm.sh/release-name": "jupyterhub",
                "meta.helm.sh/release-namespace": self.namespace,
            },
        }
        for document in yaml.safe_load_all((MANIFESTS / "services.yaml").read_text()):
            name = document["metadata"]["name"]
            if name in {"hub", "proxy-api"}:
                continue
            if name == "proxy-public":
                document["metadata"] |= owned
            self.kubectl("create", "--filename=-", input=yaml.safe_dump(document))
            made_so = yaml.safe_load(self.kubectl("get", "service", name, "--output=yaml"))
            self.addresses[name] = made_so["spec"]["clusterIP"]

    def hold(self, kind: str, name: str, data: dict[str, str]) -> None:
        """Make the one secret of the documents in place of what the tests' own hub mounts."""
        if name != "hub":
            super().hold(kind, name, data)
        elif kind == "Secret":
            wanted = ("client-secret", "crypt-key", "cookie-secret")
            super().hold(kind, "analysis-facility", {key: data[key] for key in wanted})

    def _values(self) -> list[Path]:
        """Write the values: ours, generated ones, an overlay, and what this cluster wants."""
        assert self.folder is not None
        contents = {"ca/ca-bundle.pem": self._authority().encode()}
        for name, text in made(self.facility(), contents).items():
            (self.folder / name).write_text(text)
        site = self.folder / "site.yaml"
        site.write_text(yaml.safe_dump(self._site()))
        ours = VALUES / "jupyterhub"
        return [
            ours / "values.yaml",
            self.folder / "facility.values.yaml",
            ours / "small.yaml",
            site,
        ]

    def _authority(self) -> str:
        found = yaml.safe_load(self.kubectl("get", "configmap", "authorities", "--output=yaml"))
        return str(found["data"]["ca-bundle.pem"])

    def _site(self) -> dict[str, Any]:
        """Say what differs here: images on the node, no TLS, a port that is known, a tester."""
        name, _, tag = self.images["hub"].rpartition(":")
        image = {"name": name, "tag": tag, "pullPolicy": "Never"}
        return {
            "hub": {
                "image": image,
                "db": {"pvc": {"storageClassName": self.storage_class}},
                "config": {
                    "IAMAuthenticator": {"authorize_url": f"{self.login_url}/authorize"},
                    "KubeSpawner": {"reserved_cpu": 0.05},
                },
                "services": {"tester": {"apiToken": self.tester}},
                "loadRoles": {"tester": {"services": ["tester"], "scopes": SCOPES}},
                "resources": {"requests": {"cpu": "20m", "memory": "128Mi"}},
            },
            "proxy": {
                "service": {"type": "ClusterIP"},
                "https": {"enabled": False},
                # the hub's image has the same program
                "chp": {"image": image, "resources": {"requests": {"cpu": "20m"}}},
            },
            "singleuser": {"image": {"pullPolicy": "Never"}},
        }

    def _helm(self, release: str, chart: Path, *values: Path) -> None:
        """Install a chart."""
        assert self.folder is not None
        run(
            # the proxy's Service was there before
            *(program("helm"), "upgrade", "--install", "--force-conflicts", release, chart),
            *("--namespace", self.namespace, "--kubeconfig", self.kube.kubeconfig),
            *(part for file in values for part in ("--values", file)),
            cwd=self.folder,
        )


@contextmanager
def chart_facility_in(
    kube: Cluster, images: dict[str, str], chart: Path, folder: Path
) -> Iterator[ChartFacility]:
    """Give a facility in a namespace of its own; nothing of it is left afterwards."""
    namespace = f"chart-{secrets.token_hex(3)}"
    with volumes(kube, namespace, 4) as storage_class:
        kube.add_namespace(namespace, RESTRICTED)
        facility = ChartFacility(
            kube,
            namespace,
            images=images,
            storage_class=storage_class,
            chart=chart,
            folder=folder,
        )
        try:
            facility.deploy()
            yield facility
        finally:
            with suppress(Exception):
                kube.kubectl("delete", "namespace", namespace, "--timeout=60s", timeout=70)
