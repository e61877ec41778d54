"""Names of XRootD connections in addresses. Pure.

XRootD's client library keeps one connection for each ``user@host:port``; the user name is only a
label, which the server writes into its logs and never takes for an identity where tokens are
asked for. So a name that belongs to one token makes a connection that belongs to one token.
"""

from __future__ import annotations

import hashlib
import re

_ADDRESS = re.compile(r"(x?roots?://)(?:([^@/?#]*)@)?([^@/?#]+)(?=/|$)")
_OURS = re.compile(r"t[0-9a-f]{7}")
_SHOWN = re.compile(r"((?:x?roots?://)?)t[0-9a-f]{7}@")


def connection_name(token: bytes) -> str:
    """Return the name for a token: eight letters, as much as servers show, that say nothing of it.

    The code that the Lab inserts into notebooks makes the same names.

    Examples
    --------
    >>> connection_name(b"abc")
    'tba7816b'
    """
    return "t" + hashlib.sha256(token).hexdigest()[:7]


def named(url: str, name: str | None) -> str:
    """Put the name of a connection into an XRootD address.

    Anything else stays as it is, and so does an address with a user name that is not one of ours:
    whoever gave it has a reason.

    Examples
    --------
    >>> named("root://cache:1094//store/f?x=1", "tba7816b")
    'root://tba7816b@cache:1094//store/f?x=1'
    >>> named("root://t0000000@cache//f", "tba7816b")
    'root://tba7816b@cache//f'
    >>> named("root://alice@cache//f", "tba7816b")
    'root://alice@cache//f'
    >>> named("https://cache/f", "tba7816b")
    'https://cache/f'
    """
    found = _ADDRESS.match(url)
    if name is None or found is None:
        return url
    scheme, user, host = found.groups()
    if user is not None and not _OURS.fullmatch(user):
        return url
    return f"{scheme}{name}@{host}{url[found.end() :]}"


def shown(text: str) -> str:
    """Return an address, or ``user@host:port`` alone, as the user knows it.

    Examples
    --------
    >>> shown("root://tba7816b@cache:1094//f"), shown("tba7816b@cache:1094"), shown("alice@cache")
    ('root://cache:1094//f', 'cache:1094', 'alice@cache')
    """
    return _SHOWN.sub(r"\1", text, count=1) if _SHOWN.match(text) else text
