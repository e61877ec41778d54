"""Scale, in the words that Dask Gateway and its scheduler exchange. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from af_hub.compute.options import Scale

if TYPE_CHECKING:
    from collections.abc import Mapping


def scale_message(scale: Scale) -> dict[str, Any]:
    """Return the message that tells a scheduler its new scale."""
    if scale.mode == "fixed":
        return {"op": "scale", "count": scale.maximum}
    return {"op": "adapt", "minimum": scale.minimum, "maximum": scale.maximum, "active": True}


def scale_in(message: Mapping[str, Any], most: int) -> Scale | None:
    """Read a message to a scheduler.

    Parameters
    ----------
    message
        As Gateway's own routes make it; a notebook's request has passed their checks.
    most
        Number of workers that stands for "no upper limit".

    Returns
    -------
    Scale or None
        None if the message is about something else.
    """
    if message.get("op") == "scale":
        return Scale("fixed", message["count"], message["count"])
    if message.get("op") == "adapt" and message.get("active"):
        highest = most if message["maximum"] is None else message["maximum"]
        return Scale("adaptive", message["minimum"] or 0, highest)
    return None
