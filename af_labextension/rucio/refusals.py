"""Rucio's ways to say no or nothing, in words. Pure.

Each sentence says what still works: Rucio is a catalogue, and the storage opens without it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from af_labextension.data.paths import is_printable
from af_labextension.errors import LabError, NotAnswering, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

_MEANWHILE = "The folders of the storage can still be browsed."


UNREACHABLE = "rucio-unreachable"
"""Code of an error after which one more attempt is worth it."""

TOKEN_REFUSED = "rucio-token-refused"  # noqa: S105 - a code
"""Code of an error after which one more attempt with another token is worth it."""


def unreachable(detail: str) -> NotAnswering:
    """Say that there is no connection, or that it ended before an answer began."""
    return NotAnswering(
        "rucio-unreachable",
        f"Rucio cannot be reached now. {_MEANWHILE} Try again in a moment.",
        detail=detail,
    )


def untrusted(detail: str) -> NotAnswering:
    """Say that it may be another server."""
    return NotAnswering(
        "rucio-untrusted",
        f"Rucio's certificate is not trusted here. {_MEANWHILE} Tell the facility's support.",
        detail=detail,
    )


def slow(detail: str) -> NotAnswering:
    """Say that an answer, or its next piece, did not come in time."""
    return NotAnswering(
        "rucio-slow",
        f"Rucio takes too long. Ask for less, or try again in a moment. {_MEANWHILE}",
        detail=detail,
    )


def broke_off(detail: str) -> NotAnswering:
    """Say that an answer has no end."""
    return NotAnswering(
        "rucio-broke-off",
        "Rucio stopped in the middle of its answer: the list is not complete. Try again.",
        detail=detail,
    )


def busy() -> NotAnswering:
    """Say that too many lists are being read at once."""
    return NotAnswering(
        "rucio-busy",
        "Too many of Rucio's lists are open in this Lab. Close some, or try again in a moment.",
        status=429,
    )


def garbage(detail: str) -> NotAnswering:
    """Say that an answer cannot be read."""
    return NotAnswering(
        "rucio-garbage",
        f"Rucio gave an answer that cannot be read. {_MEANWHILE} Tell the facility's support.",
        status=502,
        detail=detail[:200],
    )


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> LabError:
    """Name what a status other than 200 means.

    Rucio tells the class of its exception in the header ``ExceptionClass`` and in the body.
    """
    kind, words = _exception(headers, body)
    detail = f"status {status} {kind}"
    if kind in {"AccessDenied", "ScopeAccessDenied"} or status == 403:
        # 401 as well, in Rucio's older routes
        return Refused(
            "rucio-forbidden", f"Your Rucio account may not see this. {_MEANWHILE}", detail=detail
        )
    if status == 401:
        return Refused(
            "rucio-token-refused",
            "Rucio does not take your token, or has no account for you. Log in again from the hub"
            f" page; if that does not help, ask the facility's support. {_MEANWHILE}",
            detail=detail,
        )
    if status == 404:
        return Refused(
            "rucio-not-found",
            "Rucio does not know this name. It may have been deleted, or is spelt otherwise.",
            status=404,
            detail=detail,
        )
    if status == 429 or status >= 500:
        return NotAnswering(
            "rucio-trouble",
            f"Rucio has trouble now (status {status}). {_MEANWHILE} Try again in a moment.",
            detail=detail,
        )
    return Refused(
        "rucio-refused",
        f"Rucio does not answer this (status {status}){words}. {_MEANWHILE}",
        status=502,
        detail=detail,
    )


def _exception(headers: Mapping[str, str], body: bytes) -> tuple[str, str]:
    """Return the name of Rucio's exception, and what it says as the end of a sentence."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        parsed = None
    source = parsed if isinstance(parsed, dict) else headers
    kind, words = (source.get(f"Exception{what}") for what in ("Class", "Message"))
    kind = kind if isinstance(kind, str) and kind.isidentifier() else ""
    usable = isinstance(words, str) and is_printable(words)
    return kind[:60], f": {str(words)[:200]}" if usable else ""
