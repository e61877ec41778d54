"""Keeping tokens out of XRootD's logs.

An https client's token travels on as ``?authz=Bearer%20…`` in the addresses that XRootD opens, and
whatever it says about such an address holds the token: with any tracing on (until 5.7.2), and
without it when the cache's disk is full.
"""

from __future__ import annotations

import re

HIDDEN = b"(hidden)"

_SECRET = re.compile(
    rb"""
    (?P<name> \b authz= | \b authorization [:=] \s* | \b bearer (?: %20 | [+\s] )+ )  [^\s&"']+
      (?: (?<= Bearer ) (?: [+\s] )+ [^\s&"']+ )?
    | eyJ [A-Za-z0-9_-]{8,} (?: \. [A-Za-z0-9_-]* ){0,4}
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""The value of a query or a header, and whatever looks like a JSON Web Token, cut short or not."""


def redact(line: bytes) -> bytes:
    """Return a line of a log without tokens.

    Examples
    --------
    >>> redact(b"open root://host//f?authz=Bearer%20abc.def&x=1")
    b'open root://host//f?authz=(hidden)&x=1'
    """
    return _SECRET.sub(lambda match: (match["name"] or b"") + HIDDEN, line)
