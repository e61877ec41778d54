"""What a scheduler says about itself, read with distrust. Pure.

The scheduler runs its owner's code and has the cluster's token, so its owner can send anything in
its name. Gateway fails over some of that with a traceback, and would believe any address.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

MOST_NAMES = 200_000
"""Names of workers in one message; `closed_workers` grows as long as the scheduler lives."""
_NAME = re.compile(r"[0-9a-f]{32}")
_ADDRESS = re.compile(
    r"(?P<scheme>[a-z]+)://(?P<host>[A-Za-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\]):[0-9]{1,5}"
)
_ADDRESSES = {
    "scheduler_address": ("tls|tcp", False),
    "dashboard_address": ("http", True),
    "api_address": ("https", False),
}
"""Field, its schemes, and whether it may be empty. A scheduler without TLS is let in and shown: it gets
no token, and the relay says why."""

IDLE = "af_idle"
"""Field of ours: seconds without work, 0 while there is some (`af_hub.compute.preload_idle`)."""


def read_heartbeat(
    message: object, believed: Callable[[str], bool], running: Collection[str]
) -> tuple[dict[str, Any], float | None]:
    """Make a heartbeat fit for Gateway.

    Parameters
    ----------
    message
        As it came.
    believed
        Tells whether a scheduler can be at a host; addresses elsewhere are refused, or the gateway
        would carry its owner's requests to any place that it can reach.
    running
        Workers that Gateway believes to be connected. One that the scheduler has lost without a
        word is closed: Gateway has no case for it (dask-gateway 2026.3, an assertion fails).

    Returns
    -------
    tuple of (dict, float or None)
        Gateway's message, and for how many seconds the cluster has been idle; None if it does not
        say.

    Raises
    ------
    ValueError
        Names the field that makes no sense.
    """
    if not isinstance(message, dict):
        raise ValueError("the heartbeat must be an object")  # noqa: TRY004  one kind for all
    count = message.get("count")
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise ValueError("count must be a whole number from 0")
    read: dict[str, Any] = {"count": count}
    for field, (scheme, optional) in _ADDRESSES.items():
        read[field] = _address(field, message.get(field), scheme, believed, optional=optional)
    active, closing, closed = (
        _names(message, field) for field in ("active_workers", "closing_workers", "closed_workers")
    )
    closed |= set(running) - active - closing
    read |= {
        "active_workers": sorted(active),
        "closing_workers": sorted(closing),
        "closed_workers": sorted(closed),
    }
    return read, _idle(message.get(IDLE))


def _address(
    field: str, value: object, scheme: str, believed: Callable[[str], bool], *, optional: bool
) -> str:
    if optional and value == "":
        return ""
    found = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
    if found is None or found["scheme"] not in scheme.split("|") or not believed(found["host"]):
        raise ValueError(f"{field} must be {scheme}://HOST:PORT of the cluster's own scheduler")
    return found[0]


def _names(message: dict[str, Any], field: str) -> set[str]:
    names = message.get(field)
    if not isinstance(names, list) or len(names) > MOST_NAMES:
        raise ValueError(f"{field} must be a list")
    # workers that users connect themselves have other names: Gateway does not know them
    return {name for name in names if isinstance(name, str) and _NAME.fullmatch(name)}


def _idle(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        return None
    return float(value)
