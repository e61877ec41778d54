"""Server-sent events, read and written. Pure.

The format is that of the HTML standard, section 9.2.
"""

from __future__ import annotations

import codecs
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST = 4 * 1024 * 1024
"""Bytes of one event."""

COMMENT = b":\n\n"
"""Keeps the connection open through proxies that end silent ones."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event."""

    name: str
    data: str


class Reader:
    """Cuts a stream into events, however it was cut on its way."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._name = ""
        self._data: list[str] = []

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Give the events that a piece completes.

        Raises
        ------
        ValueError
            An event is longer than `LARGEST`.
        """
        self._rest += self._decoder.decode(piece)
        *lines, self._rest = self._rest.split("\n")
        if len(self._rest) + sum(map(len, self._data)) > LARGEST:
            raise ValueError("an event is too long")
        for line in lines:
            event = self._take(line.removesuffix("\r"))
            if event is not None:
                yield event

    def _take(self, line: str) -> Event | None:
        if not line:
            event = Event(self._name or "message", "\n".join(self._data)) if self._data else None
            self._name, self._data = "", []
            return event
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            self._name = value
        elif field == "data":
            self._data.append(value)
        return None


def written(name: str, data: dict[str, Any]) -> bytes:
    """Write one event."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
