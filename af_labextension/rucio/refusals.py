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


_SILENCE = {
    "unreachable": (
        "rucio-unreachable",
        f"Rucio cannot be reached now. {_MEANWHILE} Try again in a moment.",
    ),
    "untrusted": (
        "rucio-untrusted",
        f"Rucio's certificate is not trusted here. {_MEANWHILE} Tell the facility's support.",
    ),
    "slow": (
        "rucio-slow",
        f"Rucio takes too long. Ask for less, or try again in a moment. {_MEANWHILE}",
    ),
    "broke-off": (
        "rucio-broke-off",
        "Rucio stopped in the middle of its answer: the list is not complete. Try again.",
    ),
}


class Silence(NotAnswering):
    """Rucio could not be reached, took too long or broke off.

    Parameters
    ----------
    kind
        ``unreachable``, ``untrusted``, ``slow`` or ``broke-off``.
    detail
        For the log.
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(*_SILENCE[kind], detail=detail)
        self.kind = kind


class TokenRefused(Refused):
    """Rucio did not take the token."""


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
        return TokenRefused(
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
