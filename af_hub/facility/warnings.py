"""What a facility file allows although it is probably not meant. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from af_hub.facility.data_warnings import data_warnings
from af_hub.facility.profile_warnings import profile_warnings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from af_hub.facility.models import FacilityConfig


def warnings_of(facility: FacilityConfig) -> tuple[str, ...]:
    """List what is allowed but probably not meant, one sentence each."""
    return (
        *_without_effect(facility),
        *profile_warnings(facility.profiles, facility.limits),
        *data_warnings(facility),
    )


def _without_effect(facility: FacilityConfig) -> Iterator[str]:
    """Find sections that do nothing, since another one is missing or empty."""
    if not facility.identity.allowed_groups:
        yield "identity.allowed_groups is empty: only administrators can log in."
    if not facility.profiles:
        yield "profiles is empty: nobody can start anything, unless KubeSpawner has a profile_list."
    if facility.compute.gateway is None and any(
        not kind.in_users_server for kind in facility.compute.types
    ):
        yield "compute.gateway is null: compute.types have no effect."
    if (
        facility.kubernetes is not None
        and facility.identity.ca_file is not None
        and facility.kubernetes.ca_config_map is None
    ):
        yield (
            "identity.ca_file: Labs in pods do not get it; name a ConfigMap with it in "
            "kubernetes.ca_config_map."
        )
