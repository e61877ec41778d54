"""The chart of the XCache on the test cluster: an origin before it, the facility's issuer beside it."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from af_hub.embedded.xrootd.grid_pki import (
    GridFiles,
    ensure_grid_pki,
    key_of,
    key_pem,
    load_authority,
    pem,
    service_name,
    sign,
)
from af_hub.kube_values import XCACHE
from testbed.helm import VALUES, program
from testbed.kube.pods import wait_ready
from testbed.kube_pki import service_certificate
from testbed.kube_volumes import volumes
from testbed.values import made

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from testbed.kube_facility import PodFacility
    from tools.images.records import Record

SIZE = 3_000_000
"""Bytes of the file: some blocks of the cache."""

FACILITY = """
identity:
  issuer: {issuer}/
  access_token_issuer: {issuer}
  client_id: hub
  client_secret_file: secrets/client
  audiences: {{storage: {{audience: "{audience}", scope: "storage.read:/store/cms"}}}}
profiles: [{{name: small, title: Small}}]
storage:
  - {{name: cache, title: C, url: "root://xcache:1094//store", audience: storage}}
xcache: {{origin: "root://{origin}:1094", doors: [cache], ram: 1G, monitoring: {{every: 5s}}}}
kubernetes: {{lab_image: "registry.example.org/lab:1"}}
"""

ORIGIN = """\
all.adminpath /run/origin
all.pidpath /run/origin
all.export /store r/o
oss.localroot /data
xrd.port 1094
xrd.network nodnr
xrootd.seclib libXrdSec.so
sec.protocol gsi -certdir:/etc/trusted -cert:/run/origin/tls.crt -key:/run/origin/tls.key \
-gridmap:/etc/origin/gridmap -gmapopt:trymap -crl:0
sec.protbind * only gsi
ofs.authorize 1
acc.authdb /etc/origin/authdb
"""

STARTS = f"""
set -eu
mkdir -p /data/store/cms
head -c {SIZE} /dev/zero > /data/store/cms/f
install -m 0400 /etc/keys/tls.key /run/origin/tls.key
install -m 0444 /etc/keys/tls.crt /run/origin/tls.crt
cd /run/origin
exec xrootd -n origin -c /etc/origin/origin.cf
"""

CONFINED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


@dataclass(frozen=True)
class KubeXCache:
    """A cache that Helm has installed.

    Parameters
    ----------
    facility
        Whose namespace it is in.
    authority
        Certificate behind its own, for clients.
    """

    facility: PodFacility
    authority: str

    def logs(self, pod: str, container: str = "") -> str:
        """Return what a container has said."""
        return self.facility.kubectl(
            "logs", pod, *(("--container", container) if container else ())
        )


def pod(
    facility: PodFacility, name: str, image: str, script: str, mounts: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the manifest of a pod that runs a script in the cache's image.

    Parameters
    ----------
    facility
        Where it will run.
    name, image, script
        Of the pod.
    mounts
        Volumes by the path that they are mounted at.
    """
    named = {f"v{number}": each for number, each in enumerate(mounts.items())}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": facility.namespace, "labels": {"app": name}},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10940,
                "runAsGroup": 10940,
                "fsGroup": 10940,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": name,
                    "image": image,
                    "imagePullPolicy": "Never",
                    "command": ["tini", "--", "sh", "-c", script],
                    "securityContext": CONFINED,
                    "resources": {"limits": {"memory": "512Mi"}},
                    "volumeMounts": [
                        {"name": key, "mountPath": path} for key, (path, _) in named.items()
                    ],
                }
            ],
            "volumes": [{"name": key, **volume} for key, (_, volume) in named.items()],
        },
    }


def _certificates(facility: PodFacility, folder: Path) -> str:
    """Make the grid's and the cache's own; return the authority behind the latter."""
    grid = GridFiles(folder / "grid")
    ensure_grid_pki(grid)
    host, key = sign(load_authority(grid), facility.host("origin"), dt.datetime.now(dt.UTC))
    authority, certificate, own_key = service_certificate(["xcache", facility.host("xcache")])
    pairs = {
        "origin-tls": (pem(host), key_pem(key)),
        "xcache-service": (grid.service.read_text(), key_of(grid.service).read_text()),
        "xcache-tls": (certificate, own_key),
    }
    for name, (crt, secret) in pairs.items():
        facility.hold("Secret", name, {"tls.crt": crt, "tls.key": secret})
    trusted = {path.name: path.read_text() for path in grid.trusted.iterdir()}
    facility.hold("ConfigMap", "trusted", trusted)
    settings = {
        "origin.cf": ORIGIN,
        "gridmap": f'"{service_name()}" xcachesvc\n',
        "authdb": "u xcachesvc /store rl\n",
    }
    facility.hold("ConfigMap", "origin", settings)
    return authority


def _origin(facility: PodFacility, image: str, storage_class: str) -> None:
    """Start the origin, and fill the volume of authorities as a site's own job does."""
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "grid-security", "namespace": facility.namespace},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Mi"}},
            "storageClassName": storage_class,
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "origin", "namespace": facility.namespace},
        "spec": {"selector": {"app": "origin"}, "ports": [{"port": 1094}]},
    }
    trusted = {"configMap": {"name": "trusted"}}
    origin = {
        "/etc/origin": {"configMap": {"name": "origin"}},
        "/etc/keys": {"secret": {"secretName": "origin-tls", "defaultMode": 0o440}},
        "/etc/trusted": trusted,
        "/run/origin": {"emptyDir": {}},
        "/data": {"emptyDir": {}},
    }
    seed = {
        "/etc/trusted": trusted,
        "/target": {"persistentVolumeClaim": {"claimName": "grid-security"}},
    }
    fill = "mkdir -p /target/certificates && cp -L /etc/trusted/* /target/certificates/"
    facility.kube.apply(
        claim,
        service,
        pod(facility, "origin", image, STARTS, origin),
        pod(facility, "authorities", image, fill, seed),
    )
    over = ("--for=jsonpath={.status.phase}=Succeeded", "--timeout=90s", "pod/authorities")
    facility.kubectl("wait", *over, timeout=100)
    wait_ready(facility.kube, facility.namespace, "origin")


@contextmanager
def xcache_in(facility: PodFacility, record: Record, folder: Path) -> Iterator[KubeXCache]:
    """Give a cache in the namespace of a facility, installed by Helm; nothing of it is left."""
    issuer, audience = (f"https://{facility.host(name)}:8443" for name in ("iam", "storage"))
    text = FACILITY.format(issuer=issuer, audience=audience, origin=facility.host("origin"))
    (folder / XCACHE).write_text(made(text, {})[XCACHE])
    name, _, tag = record.reference.rpartition(":")
    chosen = {
        "image.name": name,
        "image.tag": tag,
        "image.pullPolicy": "Never",
        "issuerAuthorities": "authorities",
        "cache.size": "1Gi",
        "resources.requests.cpu": "50m",
        "resources.requests.memory": "256Mi",
    }
    with volumes(facility.kube, f"{facility.namespace}-x", 2) as storage_class:
        chosen["cache.storageClass"] = storage_class
        helm = (
            *(str(program("helm")), "--kubeconfig", str(facility.kube.kubeconfig)),
            *("--namespace", facility.namespace),
        )
        authority = _certificates(facility, folder)
        _origin(facility, record.reference, storage_class)
        options = [f"--set-string={key}={value}" for key, value in chosen.items()]
        options += ["--values", str(folder / XCACHE), "--wait", "--timeout=120s"]
        environment = {**os.environ, "HOME": str(folder)}
        try:
            done = subprocess.run(
                [*helm, "upgrade", "--install", "xcache", str(VALUES / "charts/xcache"), *options],
                env=environment,
                capture_output=True,
                text=True,
                timeout=150,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            yield KubeXCache(facility, authority)
        finally:
            subprocess.run(
                [*helm, "uninstall", "xcache", "--ignore-not-found"],
                env=environment,
                capture_output=True,
                timeout=60,
                check=False,
            )
            left = [f"secret/{name}" for name in ("origin-tls", "xcache-tls", "xcache-service")]
            left += ["pod/origin", "pod/authorities", "service/origin", "configmap/trusted"]
            left += ["configmap/origin", "pvc/grid-security", "pvc/cache-xcache-0"]
            facility.kubectl("delete", "--ignore-not-found", "--grace-period=1", *left)
