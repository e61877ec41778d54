"""What a Lab sends about its use, read strictly. Pure."""

from __future__ import annotations

import json
import math
from typing import Any

from af_hub.errors import Refusal
from af_hub.spawner.ends.rules import Report

MOST_BYTES = 1024
"""Largest report; a real one has less than a hundred."""

_LATEST = 2.0**40


def read_report(raw: bytes) -> Report:
    """Read ``{"active_at": SECONDS, "gpu_active_at": SECONDS or null}``.

    Parameters
    ----------
    raw
        The body of the request.

    Returns
    -------
    Report
        What it says; nothing is known of its truth.

    Raises
    ------
    Refusal
        ``bad-report``: it is something else.
    """
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise _bad("it is not JSON") from None
    if not isinstance(body, dict) or set(body) != {"active_at", "gpu_active_at"}:
        raise _bad("its fields must be active_at and gpu_active_at")
    gpu = body["gpu_active_at"]
    return Report(
        active_at=_moment("active_at", body["active_at"]),
        gpu_active_at=None if gpu is None else _moment("gpu_active_at", gpu),
    )


def _moment(name: str, value: Any) -> float:
    """Take seconds since 1970."""
    # JSON's true is an int of Python's
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _bad(f"{name} must be a number")
    # an integer of a thousand digits is none that a float can be
    if not 0 <= value <= _LATEST or not math.isfinite(value):
        raise _bad(f"{name} must be seconds since 1970")
    return float(value)


def _bad(why: str) -> Refusal:
    return Refusal("bad-report", f"The report of activity cannot be read: {why}.", status=400)
