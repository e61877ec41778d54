"""The facility file as one typed value."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from af_hub.compute.types import ComputeConfig
from af_hub.facility.about import About
from af_hub.facility.base import Model
from af_hub.facility.identity import Identity
from af_hub.facility.profiles import Profile
from af_hub.facility.storage import StorageDoor


class FacilityConfig(Model):
    """One facility: what its administrator decides, without a single secret."""

    about: About = About()
    """Name, logo and links."""

    identity: Identity
    """The identity provider and the group rules."""

    profiles: Annotated[tuple[Profile, ...], Field(max_length=200)] = ()
    """What a user can start. Empty: nobody can start anything."""

    storage: Annotated[tuple[StorageDoor, ...], Field(max_length=100)] = ()
    """Where the data is."""

    compute: ComputeConfig = ComputeConfig()
    """Dask clusters."""

    def warnings(self) -> tuple[str, ...]:
        """List what is allowed but probably not meant."""
        found = []
        if not self.identity.allowed_groups:
            found.append("identity.allowed_groups is empty: only administrators can log in.")
        if not self.profiles:
            found.append("profiles is empty: nobody can start anything.")
        if self.compute.types and self.compute.gateway is None:
            found.append("compute.gateway is null: compute.types have no effect.")
        return tuple(found)
