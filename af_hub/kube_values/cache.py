"""Values for the chart of the facility's XCache. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from af_hub.kube_values.doors import Service, target
from af_hub.xcache import production_places, render

if TYPE_CHECKING:
    from af_hub.facility import FacilityConfig
    from af_hub.kube_values.section import Pods

_MIB = 1024**2
_BESIDE = 1024
"""Memory of the process beside ``xcache.ram``, in MiB."""


def cache_values(facility: FacilityConfig, pods: Pods) -> dict[str, Any] | None:
    """Write the values of ``helm-values/charts/xcache``.

    Returns
    -------
    dict or None
        None if the facility has no XCache, or one outside of the cluster.
    """
    if facility.xcache is None:
        return None
    found = target("xcache.doors", facility.doors_of_the_cache()[0].url, pods)
    if found is None or not isinstance(found.place, Service):
        return None
    places = production_places(facility)
    memory = {"memory": f"{facility.xcache.ram // _MIB + _BESIDE}Mi"}
    return {
        "files": dict(render(facility, places).files),
        "ports": {"root": places.port, "https": places.https_port},
        "resources": {"requests": memory, "limits": memory},
    }
