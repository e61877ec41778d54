"""Rows of a list on their way to the browser, as NDJSON. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a list that came together.

    Parameters
    ----------
    count
        How many.
    ndjson
        The rows as the browser gets them, a line of JSON each.
    said
        What is known of the list so far; that of the last page stands in the list's last line.
    """

    count: int
    ndjson: bytes
    said: Mapping[str, Any] = field(default_factory=dict)


def as_line(row: Mapping[str, Any]) -> bytes:
    """Write one row of NDJSON."""
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"
