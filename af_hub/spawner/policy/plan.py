"""What policy has granted: everything that a spawner needs to know. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from af_hub.facility.placement import Toleration
    from af_hub.facility.volumes import Volume

NVIDIA = "nvidia.com/gpu"
"""Kubernetes resource name of whole devices of NVIDIA."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a server gets.

    Parameters
    ----------
    profile
        Name of the profile.
    title
        Its title.
    cpu
        Cores; 0: whatever the spawner's settings say (of a ``profile_list`` only).
    ram
        Memory in bytes; 0 as for `cpu`.
    gpu
        Number of graphics processors.
    gpu_product
        Model they must be; None takes any.
    environment
        Environment variables as (name, value), taken as they are written.
    max_lifetime
        Seconds after which the server is stopped; None: never.
    gpu_resource
        Kubernetes resource name of the devices.
    image
        Container image; None takes the facility's.
    groups
        Groups of the user that the catalogue and its limits name: for these the server counts.
    options
        Chosen options as (name, choice).
    home
        Whether the user's home volume is mounted.
    volumes
        Further volumes.
    node_selector, annotations
        Labels that the node must have, and annotations of the pod, as (key, value).
    tolerations
        Taints that the node may have.
    start_timeout
        Seconds after which the start is given up; None: the spawner's.
    hub_url
        The hub as this Lab reaches it; None: as all others.
    idle_timeout, gpu_idle_timeout
        Seconds without activity, and without work on the devices, after which the server is
        stopped; None: never.
    overrides
        Traits from a ``profile_list``; None if the plan is from a catalogue. Each plan has copies of
        its own.
    """

    profile: str
    title: str
    cpu: int
    ram: int
    gpu: int
    gpu_product: str | None
    environment: tuple[tuple[str, str], ...]
    max_lifetime: float | None
    gpu_resource: str = NVIDIA
    image: str | None = None
    groups: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    home: bool = True
    volumes: tuple[Volume, ...] = ()
    node_selector: tuple[tuple[str, str], ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    start_timeout: float | None = None
    hub_url: str | None = None
    idle_timeout: float | None = None
    gpu_idle_timeout: float | None = None
    overrides: Mapping[str, Any] | None = None
