"""Section ``kubernetes``: Labs in pods."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from af_hub.facility.base import ImageReference, Model, ObjectName, Size, WebAddress


class HomeVolume(Model):
    """The volume that a user's home folder is on, one for each user."""

    storage_class: ObjectName | None = None
    """Kind of volume; null takes the cluster's default."""

    size: Annotated[Size, Field(ge=1024**2)] = 10 * 1024**3
    """Size of a new volume, in bytes or as ``10G`` (powers of 1024); existing ones stay as they
    are."""


class Kubernetes(Model):
    """How Labs run on a cluster (spawner ``af-kube``)."""

    namespace: (
        Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")] | None
    ) = None
    """Namespace of the Labs; null takes the hub's own."""

    lab_image: ImageReference
    """Image of Labs whose profile names none."""

    home: HomeVolume | None = HomeVolume()
    """Where users' files are kept; null: nowhere, they are gone with the server."""

    hub_url: WebAddress | None = None
    """The hub as pods reach it, for example ``http://hub:8081``; null takes JupyterHub's
    ``hub_connect_url``."""

    ca_config_map: ObjectName | None = None
    """ConfigMap in the namespace of the Labs with the authorities of ``identity.ca_file`` under the
    key ``ca-bundle.pem`` (and those of ``identity.ca_directory`` under their hashed names); null:
    Labs trust what their image trusts."""
