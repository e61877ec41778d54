"""What the browser may ask for, and what it gets. Pure."""

from __future__ import annotations

import json
from typing import Any

from af_labextension.errors import BadRequest

LARGEST_REQUEST = 16 * 1024
"""Bytes of a request's body; real ones have less than 300."""


def read_object(body: bytes, known: tuple[str, ...]) -> dict[str, Any]:
    """Read a request.

    Parameters
    ----------
    body
        JSON.
    known
        Keys that it may have.

    Raises
    ------
    BadRequest
        ``bad-request`` or ``unknown-option``; the message names the field.
    """
    if len(body) > LARGEST_REQUEST:
        raise BadRequest("bad-request", "The request is too long.")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest("bad-request", "The request is not JSON.") from error
    if not isinstance(found, dict):
        raise BadRequest("bad-request", "The request must be an object.")
    for key in found:
        if key not in known:
            raise BadRequest("unknown-option", f"There is no field {ascii(key)[:40]}.")
    return found


def gateway_request(asked: dict[str, Any]) -> dict[str, Any]:
    """Turn ``{type, options, scale}`` into the gateway's ``{options, scale}``.

    The gateway checks type, sizes and scale against the facility file and the user's groups; here
    only the shape is checked.

    Raises
    ------
    BadRequest
        ``bad-option``; the message names the field.
    """
    kind, options = asked.get("type"), asked.get("options", {})
    if not isinstance(kind, str):
        raise BadRequest("bad-option", "type must be the name of a kind of cluster.")
    if not isinstance(options, dict):
        raise BadRequest("bad-option", "options must be an object.")
    if "type" in options:
        raise BadRequest("unknown-option", "options has no field 'type'.")
    return {"options": {**options, "type": kind}, "scale": asked.get("scale")}


def types_answer(config: dict[str, Any] | None) -> dict[str, Any]:
    """Say which kinds of clusters the user may make.

    Parameters
    ----------
    config
        The hub's description of the facility (``GET lab``); None without a hub.

    Returns
    -------
    dict
        ``{types: [{name, title, description, options}], available, message}``.
    """
    if config is None:
        return _none("This Lab has no hub, so there are no facility clusters.")
    compute = config.get("compute") or {}
    types = compute.get("types") or []
    if not compute.get("gateway"):
        return _none("This facility has no Dask service.")
    if not types:
        return _none("No kind of Dask cluster is open to your groups.")
    names = ("name", "title", "description", "options")
    return {
        "types": [{name: one.get(name) for name in names} for one in types],
        "available": True,
        "message": None,
    }


def _none(message: str) -> dict[str, Any]:
    return {"types": [], "available": False, "message": message}
