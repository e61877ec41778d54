"""The facility file that is written at the first start on one machine."""

from __future__ import annotations

import os
from string import Template
from typing import Protocol

_LOOPBACK = "127.0.0.1"

ORIGIN = "root://localhost:1094"
"""Address of the demo's origin; it exists inside the XCache's own network only."""

_TEXT = """\
# The facility file: everything an administrator decides, in one place. It holds no secret.
# Check it after a change:  analysis-facility check facility.yaml
# All keys and their meaning: analysis-facility schema
# Sizes are written 512M or 4G (powers of 1024), times 30m, 8h or 7d.
# Groups: /cms is exactly that group, /cms/* one level below, /cms/** any level below.

about:
  name: Demo analysis facility
  logo: null            # an SVG or PNG file
  support: null         # where users get help: https://… or mailto:…
  notice: null          # shown above every page, for example a planned downtime
  aup: null             # address of the acceptable-use policy

identity:
  issuer: $issuer
  access_token_issuer: $access_token_issuer   # null: learnt from a token
  client_id: af-hub
  client_secret_file: secrets/hub-client-secret   # relative to this file
  ca_file: pki/ca-bundle.pem   # null: the system's authorities
  ca_directory: pki/certificates   # the same for XRootD's clients; null: the system's
  token_profile: wlcg   # how groups stand in tokens: auto, iam, wlcg, aarc or kc
  allowed_groups: [/cms, /cms/**, /atlas, /atlas/**]   # who may log in
  admin_groups: [/cms/af-admins]
  audiences:            # access tokens that Labs and services may ask the hub for
    storage:
      audience: $storage_audience
      scope: storage.read:/store/cms storage.read:/store/atlas storage.read:/store/open
      method: exchange
    rucio:
      audience: rucio
      scope: openid profile
      method: exchange
  services:             # hub services that may get tokens on a user's behalf
    dask-gateway: {audiences: [storage]}

profiles:               # what users can start
  - name: small
    title: Small
    description: One core for notebooks, plots and small files.
    default: true
    cpu: 1
    ram: 2G
    max_lifetime: 7d    # then the server is stopped; leave away for no limit
  - name: analysis
    title: Analysis
    description: Choose cores and memory for a larger analysis.
    cpu: {choices: $cpu_choices, default: $cpu_default}
    ram: {choices: [4G, 8G, 16G], default: 4G}
    max_lifetime: 7d
  - name: gpu
    title: GPU
    description: Machine learning with CUDA, for members of /cms/uscms.
    cpu: $cpu_default
    ram: 8G
    gpu: {counts: [0, 1], default: 1}
    max_lifetime: 12h
    allowed_groups: [/cms/uscms]

storage:                # where the data is: WebDAV (https://…) and XRootD (root://…//…)
  - name: demo
    title: Facility storage
    url: $storage_url
    audience: storage
  - name: cache
    title: Experiment data (XCache)
    url: $xcache_url    # two slashes before the path
    audience: storage

cache:                  # how Rucio's addresses become ones that Labs open; the first fit is taken
  rules:                # each ends in a slash, so that it stands for whole names
    - {match: "$origin//", replace: "$xcache//"}

rucio:                  # the experiment's data catalogue; null: none
  url: $rucio_url       # https, or http on this machine
  audience: rucio
  account: "{user}"     # account of a user there; exceptions: accounts: {alice: amuon}

xcache:                 # tokens in front, a service certificate behind; null: none
  origin: $origin   # where the data comes from, by X.509 only
  doors: [cache]        # the storage doors that lead to the cache
  https: $xcache_https  # null: root:// only. Over https the origin sees users' tokens
  exports: []           # paths that it serves; empty: those of its doors
  groups: {}            # for tokens with groups in place of paths: {/cms: [/store/cms]}
  block_size: 256K      # 256K to 1M suit ROOT files
  ram: 1G
  water_marks: {low: 0.90, high: 0.95}   # how full the disk may become
  monitoring: null      # {report: "127.0.0.1:9931", every: 30s}

compute:                # Dask clusters
  gateway:              # null: no clusters
    address: $gateway_address
    proxy_address: $gateway_proxy_address
  types:
    - name: local
      title: This machine
      site: this machine   # where it runs, a few words for the dialog
      description: Scheduler and workers are processes of this machine.
      backend: local       # the section of the same name holds its settings
      local: {gpus: []}    # devices for workers, such as ["0", "1"]
      allowed_groups: []   # empty: everybody who may log in
      images: null         # software to choose from: {default: NAME, choices: [{name, title, environment}]}
      worker:
        cores: {default: 1, min: 1, max: $worker_cores}
        memory: {default: 1G, min: 512M, max: 4G}
        gpus: {default: 0, min: 0, max: 0}
      scale: {default: 2, max: $max_workers}   # or default: {minimum: 0, maximum: 4}
      lifetime: {idle: 30m, max: 24h}
      token: {audience: storage}
    - name: in-lab
      title: In this Lab
      site: your own server
      description: Workers share the cores of your server; no quota, and it ends with the server.
      backend: in-lab
      in_lab: {factory: "dask.distributed:LocalCluster", kwargs: {}}
      worker:
        cores: {default: 1, min: 1, max: $worker_cores}
        memory: {default: 1G, min: 512M, max: 4G}
      scale: {default: 1, max: $max_workers}
      lifetime: {idle: 30m, max: 24h}
  quotas:               # at a time, over all types but those in users' own servers; null: no limit
    user: {clusters: 4, workers: null, cores: null, memory: null, gpus: null}
    groups: {}          # of all members together: {/cms: {cores: 400, memory: 1600G, gpus: 4}}
"""


class PortNumbers(Protocol):
    """Ports that stand in the file."""

    @property
    def public(self) -> int:
        """Port that users open."""

    @property
    def iam_https(self) -> int:
        """Port of the identity provider."""

    @property
    def storage(self) -> int:
        """Port of the storage."""

    @property
    def xcache(self) -> int:
        """Port of the XCache's door for ``root://``."""

    @property
    def xcache_https(self) -> int:
        """Port of the XCache's door for https."""

    @property
    def rucio(self) -> int:
        """Port of Rucio."""

    @property
    def gateway_proxy_tcp(self) -> int:
        """Port of Dask Gateway's proxy."""


def default_facility(ports: PortNumbers, *, host: str = _LOOPBACK, cores: int | None = None) -> str:
    """Write the facility file of one machine, with comments for a person to edit it.

    Parameters
    ----------
    ports
        Where the parts are, all on loopback.
    host
        Address that the public port is bound to.
    cores
        Processor cores of this machine; None counts them.

    Returns
    -------
    str
        YAML.
    """
    cores = len(os.sched_getaffinity(0)) if cores is None else cores
    public = _LOOPBACK if host in {"0.0.0.0", "::"} else host  # noqa: S104  compared, not bound
    public = f"[{public}]" if ":" in public else public
    # powers of two up to what is there, and never a single choice
    choices = [n for n in (1, 2, 4, 8, 16, 32) if n <= max(cores, 2)]
    addresses = {
        "issuer": f"https://{_LOOPBACK}:{ports.iam_https}/",
        "access_token_issuer": f"https://{_LOOPBACK}:{ports.iam_https}",
        "storage_audience": f"https://{_LOOPBACK}:{ports.storage}",
        "storage_url": f"https://{_LOOPBACK}:{ports.storage}/store",
        "origin": ORIGIN,
        "xcache": f"root://{_LOOPBACK}:{ports.xcache}",
        "xcache_url": f"root://{_LOOPBACK}:{ports.xcache}//store",
        "xcache_https": f"https://{_LOOPBACK}:{ports.xcache_https}",
        "rucio_url": f"http://{_LOOPBACK}:{ports.rucio}",
        "gateway_address": f"http://{public}:{ports.public}/services/dask-gateway",
        "gateway_proxy_address": f"gateway://{_LOOPBACK}:{ports.gateway_proxy_tcp}",
    }
    return Template(_TEXT).substitute(
        addresses,
        cpu_choices=str(choices),
        cpu_default=str(min(2, cores)),
        worker_cores=str(cores),
        max_workers=str(max(4, cores)),
    )
