"""What the browser may ask for, and what it gets. Pure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from af_labextension.errors import BadRequest

if TYPE_CHECKING:
    from af_labextension.errors import LabError

LARGEST_REQUEST = 16 * 1024
"""Bytes of a request's body; real ones have less than 300."""

MOST_LINES = 2000
"""Lines of one log."""


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


def problem_of(error: LabError | None) -> dict[str, str] | None:
    """Return ``{code, message}`` of what keeps clusters from being listed; None if nothing does."""
    return None if error is None else error.as_json()


def lines_asked(value: str) -> int:
    """Read how many lines of a log are wanted.

    Raises
    ------
    BadRequest
        ``bad-query``.
    """
    if not re.fullmatch(r"[0-9]{1,6}", value) or not 1 <= int(value) <= MOST_LINES:
        raise BadRequest("bad-query", f"lines must be a whole number from 1 to {MOST_LINES}.")
    return int(value)


def cut_logs(logs: dict[str, str], lines: int) -> list[dict[str, Any]]:
    """Return ``[{name, text, truncated}]`` with the last lines of each log, scheduler first."""
    named = {_log_name(name): text for name, text in logs.items()}
    return [
        {
            "name": name,
            "text": "\n".join((found := named[name].splitlines())[-lines:]),
            "truncated": len(found) > lines,
        }
        for name in sorted(named, key=lambda name: (name != "scheduler", name == "process", name))
    ]


def _log_name(name: str) -> str:
    """Name a log as the gateway does: ``scheduler`` or ``worker …``."""
    if name.lower() == "scheduler":
        return "scheduler"
    return name if name == "process" else f"worker {name}"
