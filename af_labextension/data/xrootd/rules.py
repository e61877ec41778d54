"""What may be asked of which XRootD server, and what its refusals mean."""

from __future__ import annotations

import re

from .protocol import Failure, Reason

AUTO_STAT = (5, 8, 2)
"""First version of XRootD whose XCache lists a folder with sizes in one question to its origin."""

_VERSION = re.compile(r"v?(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?\b.*", re.DOTALL)


def lists_with_stat(version: str) -> bool:
    """Tell whether a listing may ask for types and sizes at once.

    An XCache before 5.8.2 asks its origin for every single entry, one after the other: 1000 entries
    at 20 ms round trip take 21 s. The protocol does not tell a cache from a plain server, so every
    old server and every server with an unknown version is taken for a cache.

    Parameters
    ----------
    version
        Answer of the server to the configuration query ``version``, for example ``v5.5.3``.

    Examples
    --------
    >>> lists_with_stat("v5.5.3"), lists_with_stat("v5.8.2"), lists_with_stat("v20260101-abc")
    (False, True, False)
    """
    match = _VERSION.fullmatch(version.strip())
    if match is None:
        return False
    major, minor, patch = (int(part or 0) for part in match.groups())
    return (major, minor, patch) >= AUTO_STAT


_BY_CLIENT_CODE: dict[int, Reason] = {
    101: "unreachable",  # no such host
    102: "unreachable",
    103: "unreachable",  # no connection in time
    104: "unreachable",
    107: "unreachable",
    108: "unreachable",
    110: "tls",
    202: "unreachable",
    203: "tls",  # a server that wants TLS, and a client without authorities, meet so
    204: "token",
    206: "silent",
    207: "unreachable",
}
_BY_SERVER_CODE: dict[int, Reason] = {
    3010: "not-allowed",
    3011: "not-there",
    3030: "token",
    3034: "silent",
    3035: "silent",
}

ERROR_RESPONSE = 400
"""Code of the client library for "the server answered with an error" (XrdCl::errErrorResponse)."""

IS_DIRECTORY = 3016
"""kXR_isDirectory: an XCache from 5.7.2 on answers so to the stat of a folder that it caches."""


def failure_of(code: int, errno: int, message: str) -> Failure:
    """Read a status of the client library (XrdClStatus.hh, XProtocol.hh).

    Parameters
    ----------
    code
        Code of the client library.
    errno
        The server's code, where `code` is `ERROR_RESPONSE`.
    message
        What the library says.
    """
    codes, key = (_BY_SERVER_CODE, errno) if code == ERROR_RESPONSE else (_BY_CLIENT_CODE, code)
    return Failure(codes.get(key, "other"), f"{code}/{errno} {message.strip()[:300]}")
