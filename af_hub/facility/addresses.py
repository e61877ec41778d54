"""Addresses in the facility file: doors, replicas and origins. Pure.

They end up in configurations that know no quoting (XRootD's) and in code that users get, so only
plain characters of RFC 3986 are taken; anything else is written percent-encoded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

MAX_LENGTH: Final = 1000
"""Longest address, in characters."""

HOST: Final = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])"
"""Pattern of a host: name, IPv4, or IPv6 in brackets."""

PATH: Final = r"(?:/[A-Za-z0-9/._~%!$&'()*+,;=:@-]*)?"
"""Pattern of a path."""

DEFAULT_PORTS: Final = {
    "root": 1094,
    "roots": 1094,
    "xroot": 1094,
    "https": 443,
    "http": 80,
    "davs": 443,
    "dav": 80,
}
"""Known schemes and the ports that they stand for."""

_FORM = re.compile(rf"([a-z]+)://({HOST})(?::([0-9]{{1,5}}))?({PATH})")


@dataclass(frozen=True, slots=True)
class Address:
    """An address in its parts.

    Parameters
    ----------
    scheme
        One of `DEFAULT_PORTS`.
    host
        Lower-case name, or an address (IPv6 in brackets).
    port
        TCP port, the scheme's own one if none is written.
    path
        As written: empty, or beginning with ``/`` (``//`` for absolute paths of ``root://``).
    """

    scheme: str
    host: str
    port: int
    path: str

    @property
    def place(self) -> tuple[str, int]:
        """Which server it is, whatever the scheme's spelling."""
        return self.host, self.port

    @property
    def is_root(self) -> bool:
        """Whether it is spoken to by XRootD's own protocol."""
        return self.scheme in {"root", "roots", "xroot"}

    @property
    def is_loopback(self) -> bool:
        """Whether the server is this machine."""
        return is_loopback(self.host)


def components(path: str) -> tuple[str, ...]:
    """Split a path; repeated and closing slashes make no difference.

    Examples
    --------
    >>> components("//store/cms/")
    ('store', 'cms')
    """
    return tuple(part for part in path.split("/") if part)


def is_loopback(host: str) -> bool:
    """Tell whether `host` is this machine, by its spelling alone."""
    return host in {"localhost", "[::1]"} or re.fullmatch(r"127(\.[0-9]{1,3}){3}", host) is not None


def parse_address(text: str, schemes: tuple[str, ...]) -> Address:
    """Read an address.

    Parameters
    ----------
    text
        The address, at most `MAX_LENGTH` characters.
    schemes
        Which schemes are taken, each one of `DEFAULT_PORTS`.

    Raises
    ------
    ValueError
        With a sentence that says what would be right.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"is longer than {MAX_LENGTH} characters")
    scheme = text.partition("://")[0]
    if scheme not in schemes:
        raise ValueError(f"is not an address that begins with {_either(schemes)}")
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(
            f"is not of the form {scheme}://HOST:PORT/PATH with plain characters "
            "(no user, query, fragment, space or quote)"
        )
    port = DEFAULT_PORTS[scheme] if found[3] is None else int(found[3])
    if not 0 < port < 65536:
        raise ValueError(f"{port} is not a port (1 to 65535)")
    if {".", ".."} & set(found[4].split("/")):
        raise ValueError("has a path with '.' or '..'")
    return Address(scheme, found[2].lower(), port, found[4])


def _either(schemes: tuple[str, ...]) -> str:
    *first, last = (f"{scheme}://" for scheme in schemes)
    return f"{', '.join(first)} or {last}" if first else last
