"""Where Labs with devices can run: read from the catalogue and from plans. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from af_hub.spawner.kube.gpus.count import Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from af_hub.facility.placement import Toleration
    from af_hub.facility.profiles import Profile
    from af_hub.spawner.policy.plan import Plan

_Tolerations = tuple[tuple[str, str, str, str], ...]


def place_of(plan: Plan) -> Place:
    """Say where the pod of a plan can run."""
    return Place(
        plan.gpu_resource,
        plan.gpu_product,
        plan.node_selector,
        _tolerations(plan.gpu_resource, plan.tolerations),
    )


def places_of(profiles: Iterable[Profile]) -> Iterator[Place]:
    """List all kinds of pods with devices that a catalogue can start.

    Choices are looked at one by one, not in all their combinations: that is enough to know which
    nodes are somebody's.
    """
    for profile in profiles:
        if profile.gpu is None:
            continue
        choices = [choice for option in profile.options for choice in option.choices]
        for one in (None, *choices):
            selector: Mapping[str, str] = {
                **profile.node_selector,
                **(one.node_selector if one else {}),
            }
            tolerations = (*profile.tolerations, *(one.tolerations if one else ()))
            yield Place(
                profile.gpu.resource,
                profile.gpu.product,
                tuple(sorted(selector.items())),
                _tolerations(profile.gpu.resource, tolerations),
            )


def toleration_of(resource: str) -> dict[str, str]:
    """Return the toleration of the taint that keeps pods without devices off nodes with them."""
    return {"key": resource, "operator": "Exists"}


def _tolerations(resource: str, given: Iterable[Toleration]) -> _Tolerations:
    own = tuple(
        (each.key or "", each.operator, each.value or "", each.effect or "") for each in given
    )
    return (*own, (resource, "Exists", "", ""))
