"""What is said on a cluster's socket: one line of JSON for each request and each answer. Pure."""

from __future__ import annotations

import json
from typing import Any

LONGEST_REQUEST = 64 * 1024
"""Bytes; real ones have less than 200."""

LONGEST_ANSWER = 16 * 1024 * 1024
"""Bytes; logs are cut to less."""

REQUESTS = ("scale", "close", "logs", "security")
"""What can be asked."""


class BadMessage(Exception):
    """A line that is not of the protocol."""


def line(message: dict[str, Any]) -> bytes:
    """Write one message."""
    return json.dumps(message).encode() + b"\n"


def read_request(raw: bytes) -> dict[str, Any]:
    """Read a request.

    Raises
    ------
    BadMessage
        It is none.
    """
    found = read_line(raw)
    if found.get("do") not in REQUESTS:
        raise BadMessage("unknown request")
    return found


def read_line(raw: bytes) -> dict[str, Any]:
    """Read a line.

    Raises
    ------
    BadMessage
        It is no JSON object.
    """
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BadMessage("not JSON") from error
    if not isinstance(found, dict):
        raise BadMessage("not an object")
    return found
