"""A facility file for a cluster, and the values that are made from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from af_hub.facility.load import parse
from af_hub.kube_values import AUTHORITIES, FILE, HUB_FILE, XCACHE, Site, render
from testbed.helm import VALUES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from af_hub.facility import FacilityConfig

BASE = VALUES / "jupyterhub" / "values.yaml"
OVERLAYS = ("small", "gpu", "offload")
EXAMPLE = VALUES / "jupyterhub" / "site.example.yaml"

TEXT = """\
# a facility on Kubernetes
about: {name: Test facility, logo: pictures/logo.png}
identity:
  issuer: https://iam.example.org:8444/
  access_token_issuer: https://iam.example.org:8444
  client_id: hub-of-the-facility
  client_secret_file: secrets/client-secret
  ca_file: pki/bundle.pem
  ca_directory: pki/hashed
  allowed_groups: [/cms, /cms/**]   # who may log in
  admin_groups: [/cms/af-admins]
  audiences:
    storage: {audience: "https://cache.example.org", scope: "storage.read:/store/cms"}
    rucio: {audience: rucio-of-cms, scope: openid}
  services:
    dask-gateway: {audiences: [storage]}
    transfers: {audiences: [rucio]}
profiles:
  - {name: small, title: Small}
  - {name: gpu, title: GPU, image: "registry.example.org:5000/af/lab-gpu:7", gpu: {counts: [1]}}
  - {name: big, title: Big, image: "registry.example.org:5000/af/lab-gpu:7"}
storage:
  - {name: cache, title: C, url: "root://xcache:1094//store", audience: storage}
  - {name: web, title: W, url: "https://dav.example.org:8443/store", audience: storage}
  - {name: inside, title: I, url: "https://10.1.2.3/store", audience: storage}
cache:
  rules:
    - {match: "root://eos.example.org:1094//", replace: "root://xcache.caches.svc.cluster.local:1095//"}
rucio: {url: "https://rucio.example.org", audience: rucio}
xcache: {origin: "root://federation.example.org:1094", doors: [cache], ram: 4G}
compute:
  gateway:
    address: http://proxy-public/services/dask-gateway
    proxy_address: gateway://dask-gateway:8786
kubernetes:
  lab_image: registry.example.org:5000/af/lab:3
  home: {storage_class: fast, size: 20G}
  ca_config_map: authorities
"""

CONTENTS: Mapping[str, bytes] = {
    "pictures/logo.png": b"\x89PNG\r\n\x1a\n\xff",
    "pki/bundle.pem": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "pki/hashed/5ab23cd9.0": b"-----BEGIN CERTIFICATE-----\nBBBB\n-----END CERTIFICATE-----\n",
}


def facility(text: str = TEXT) -> FacilityConfig:
    """Read the facility file as the hub's pod does."""
    return parse(text, Path(HUB_FILE))


def made(
    text: str = TEXT, contents: Mapping[str, bytes] = CONTENTS, site: Site | None = None
) -> Mapping[str, str]:
    """Make the files for it."""
    return render(facility(text), text, contents, site or Site())


def values(text: str = TEXT, site: Site | None = None) -> dict[str, Any]:
    """Make the values and read them again."""
    read: dict[str, Any] = yaml.safe_load(made(text, site=site)[FILE])
    return read


def authorities(text: str = TEXT) -> dict[str, Any]:
    """Make the ConfigMap and read it again."""
    read: dict[str, Any] = yaml.safe_load(made(text)[AUTHORITIES])
    return read


def cache_values(text: str = TEXT) -> dict[str, Any]:
    """Make the values of the XCache and read them again."""
    read: dict[str, Any] = yaml.safe_load(made(text)[XCACHE])
    return read


def schema() -> dict[str, Any]:
    """Return the schema of our values."""
    read: dict[str, Any] = json.loads((VALUES / "jupyterhub" / "values.schema.json").read_text())
    return read


def write_site(folder: Path) -> Path:
    """Write the facility file, what stands beside it, and secrets that must go nowhere."""
    for name, content in CONTENTS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    file = folder / "facility.yaml"
    file.write_text(TEXT)
    return file
