"""The facility file that is written at the first start on one machine. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from string import Template

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
  ca_file: $ca_file     # null: the system's authorities
  token_profile: wlcg   # how groups stand in tokens: auto, iam, wlcg, aarc or kc
  allowed_groups: [/cms, /cms/**, /atlas, /atlas/**]   # who may log in
  admin_groups: [/cms/af-admins]
  audiences:            # access tokens that Labs and services may ask the hub for
    storage:
      audience: $storage_audience
      scope: storage.read:/store/cms storage.read:/store/atlas storage.read:/store/open
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
  - name: analysis
    title: Analysis
    description: Choose cores and memory for a larger analysis.
    cpu: {choices: $cpu_choices, default: $cpu_default}
    ram: {choices: [4G, 8G, 16G], default: 4G}
  - name: gpu
    title: GPU
    description: Machine learning with CUDA, for members of /cms/uscms.
    cpu: $cpu_default
    ram: 8G
    gpu: {counts: [0, 1], default: 1}
    allowed_groups: [/cms/uscms]

storage:                # where the data is
  - name: demo
    title: Facility storage
    url: $storage_url
    audience: storage

compute:                # Dask clusters
  gateway:              # null: no clusters
    address: $gateway_address
    proxy_address: $gateway_proxy_address
  types:
    - name: local
      title: This machine
      description: Scheduler and workers are processes of this machine.
      backend: local
      allowed_groups: []   # empty: everybody who may log in
      worker:
        cores: {default: 1, min: 1, max: $worker_cores}
        memory: {default: 1G, min: 512M, max: 4G}
      scale: {default: 2, max: $max_workers}
      lifetime: {idle: 30m, max: 24h}
      token: {audience: storage}
"""


@dataclass(frozen=True, slots=True)
class DefaultAddresses:
    """What of the default facility file depends on the machine.

    Parameters
    ----------
    issuer
        Issuer of the identity provider, with its trailing slash.
    storage_url
        Address of the storage, without the path ``/store``; also the audience of its tokens.
    gateway_address
        Dask Gateway's API as Labs reach it.
    gateway_proxy_address
        Dask Gateway's proxy, ``gateway://host:port``.
    ca_file
        Certificate authorities, relative to the file.
    cores
        Processor cores of this machine.
    """

    issuer: str
    storage_url: str
    gateway_address: str
    gateway_proxy_address: str
    ca_file: str = "pki/ca-bundle.pem"
    cores: int = 2


def default_facility(addresses: DefaultAddresses) -> str:
    """Write the facility file of one machine, with comments for a person to edit it.

    Parameters
    ----------
    addresses
        Where the parts are.

    Returns
    -------
    str
        YAML.
    """
    storage = addresses.storage_url.rstrip("/")
    # powers of two up to what is there, and never a single choice
    choices = [n for n in (1, 2, 4, 8, 16, 32) if n <= max(addresses.cores, 2)]
    values = {
        "issuer": addresses.issuer,
        "access_token_issuer": addresses.issuer.rstrip("/"),
        "ca_file": addresses.ca_file,
        "storage_audience": storage,
        "storage_url": f"{storage}/store",
        "gateway_address": addresses.gateway_address,
        "gateway_proxy_address": addresses.gateway_proxy_address,
    }
    # JSON texts are YAML texts, whatever stands in them
    quoted = {name: json.dumps(value) for name, value in values.items()}
    return Template(_TEXT).substitute(
        quoted,
        cpu_choices=json.dumps(choices),
        cpu_default=str(min(2, addresses.cores)),
        worker_cores=str(max(1, addresses.cores)),
        max_workers=str(max(4, addresses.cores)),
    )
