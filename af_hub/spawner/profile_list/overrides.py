"""Traits that a ``profile_list`` sets: merged as KubeSpawner does, and what they amount to. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from af_hub.quantities import parse_bytes
from af_hub.spawner.policy.plan import NVIDIA

if TYPE_CHECKING:
    from collections.abc import Iterable

_DEVICE = re.compile(r"(^|[./-])(gpu|mig)", re.IGNORECASE)


def merge(current: Any, value: Any) -> Any:
    """Put a new value into an old one, without changing either.

    Parameters
    ----------
    current
        What a trait holds.
    value
        A dictionary adds to a dictionary, however deep, and None removes a key; anything else
        replaces.
    """
    if not isinstance(value, dict) or not isinstance(current, dict):
        return deepcopy(value)
    merged = deepcopy(current)
    for key, item in value.items():
        if isinstance(item, dict):
            old = merged.get(key)
            merged[key] = merge(old if isinstance(old, dict) else {}, item)
        elif item is None:
            merged.pop(key, None)
        else:
            merged[key] = deepcopy(item)
    return merged


def combined(overrides: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Make one of several overrides, later ones win; what removes a key still does."""
    found: dict[str, Any] = {}
    for each in overrides:
        found = _joined(found, each)
    return found


def _joined(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    both = deepcopy(dict(first))
    for key, value in second.items():
        old = both.get(key)
        both[key] = (
            _joined(old, value)
            if isinstance(old, dict) and isinstance(value, dict)
            else deepcopy(value)
        )
    return both


def applied(settings: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Tell what settings become when overrides are put into them; functions stay as they are."""
    changed = {name: merge(settings.get(name), value) for name, value in overrides.items()}
    return {**settings, **changed}


def cores_in(traits: Mapping[str, Any]) -> int:
    """Read ``cpu_limit``, rounded up; 0 if nothing, or no number, is set."""
    value = traits.get("cpu_limit")
    try:
        return max(0, math.ceil(float(value or 0)))
    except (TypeError, ValueError, OverflowError):
        return 0


def memory_in(traits: Mapping[str, Any]) -> int:
    """Read ``mem_limit`` in bytes; 0 if nothing, or no size, is set."""
    try:
        return parse_bytes(traits.get("mem_limit") or 0)
    except ValueError:
        return 0


def devices_in(traits: Mapping[str, Any]) -> tuple[int, str]:
    """Read number and resource name of the graphics processors; the first kind counts."""
    for name in ("extra_resource_limits", "extra_resource_guarantees"):
        resources = traits.get(name)
        for resource, count in resources.items() if isinstance(resources, Mapping) else ():
            if _DEVICE.search(str(resource)):
                try:
                    number = int(count)
                except (TypeError, ValueError):
                    continue
                if number > 0:
                    return number, str(resource)
    return 0, NVIDIA
