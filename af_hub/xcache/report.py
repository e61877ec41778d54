"""XRootD's summary report (``xrd.report``) as numbers. Pure.

Only Python's standard library is used, so that the image of the cache needs nothing else.
The form of the report is that of XRootD's *System Monitoring Reference*, section "Summary
Monitoring Data Format", as 5.5.3 and 6.2 send it: one datagram of XML.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from xml.parsers import expat

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BYTES: Final = 65_507
"""Largest report, in bytes: what a UDP datagram over IPv4 can carry."""

MAX_DEPTH: Final = 12
"""Deepest nesting; XRootD's own is 5."""

MAX_VALUES: Final = 4000
"""Most values in one report; XRootD's own has about 150."""

# 5.5.3 writes <hits>0></hits>: what follows the number is left alone
_NUMBER = re.compile(r"\s*(-?[0-9]{1,19})")


class ReportRefused(ValueError):
    """A datagram that is not a summary report; the message says why."""


@dataclass(frozen=True, slots=True)
class Report:
    """One summary report.

    Parameters
    ----------
    facts
        Attributes of the whole: ``ver``, ``src``, ``pgm``, ``ins``, ``site``, ``tod`` (seconds
        since 1970 of the report), ``tos`` (of the server's start).
    values
        Text by dotted path that begins with the section: ``cache.rd.hits`` → ``"12"``.
    """

    facts: Mapping[str, str]
    values: Mapping[str, str]

    @property
    def started(self) -> int | None:
        """When the server started, in seconds since 1970."""
        found = _NUMBER.match(self.facts.get("tos", ""))
        return None if found is None else int(found[1])

    def number(self, path: str) -> int | None:
        """Give a value as a number; None if it is missing or none."""
        found = _NUMBER.match(self.values.get(path, ""))
        return None if found is None else int(found[1])


class _Reader:
    """Collects values while expat walks through the XML."""

    def __init__(self) -> None:
        self.facts: dict[str, str] = {}
        self.values: dict[str, str] = {}
        self._path: list[str] = []
        self._depth = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Enter an element."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ReportRefused("it is nested too deeply")
        if self._depth == 1:
            if name != "statistics":
                raise ReportRefused("it is not an XRootD summary report")
            self.facts = dict(attributes)
            return
        self._path.append(attributes.get("id", name) if self._depth == 2 else name)
        if len(self.values) >= MAX_VALUES:
            raise ReportRefused("it holds too many values")
        self.values.setdefault(".".join(self._path), "")

    def end(self, _name: str) -> None:
        """Leave an element."""
        self._depth -= 1
        if self._path:
            self._path.pop()

    def text(self, text: str) -> None:
        """Take an element's text; some hold a number and then elements."""
        if self._path and text.strip():
            self.values[".".join(self._path)] += text


def parse_report(datagram: bytes) -> Report:
    """Read a summary report.

    Parameters
    ----------
    datagram
        What arrived, from whomever: bounded in size, depth and number of values; a document type
        or an entity is refused, nothing is ever fetched.

    Raises
    ------
    ReportRefused
        If it is something else.
    """
    if len(datagram) > MAX_BYTES:
        raise ReportRefused("it is too large")
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _no_doctype
    try:
        # servers end the text with a NUL byte in some versions
        parser.Parse(datagram.rstrip(b"\0\r\n "), True)
    except expat.ExpatError as error:
        raise ReportRefused(f"it is not XML: {expat.ErrorString(error.code)}") from None
    return Report(reader.facts, reader.values)


def _no_doctype(*_arguments: object) -> None:
    """Refuse document types: entities are declared there, and no report has one."""
    raise ReportRefused("it declares a document type")
