"""From a replica's address to one that a Lab opens. Pure.

Rucio names replicas by physical file names (PFN), ``root://origin:1094//store/a.root``. The facility
says by rules how such an address becomes one of its cache: the first rule that fits wins, and only
the beginning of the address changes, on the border of a path component. Names are never touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from af_labextension.data.paths import is_printable

from .model import Did, count_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from af_labextension.data.doors import Door

_SAME = {"davs": "https", "dav": "http", "xroot": "root", "xroots": "roots"}
"""Schemes of the grid by the names under which clients open them."""

_DEFAULT_PORT = {"https": 443, "http": 80, "root": 1094, "roots": 1094}

OPENABLE = frozenset(_DEFAULT_PORT)
"""Schemes that code in a Lab can open."""


@dataclass(frozen=True, slots=True)
class CacheRule:
    """A rule: addresses that begin with `match` begin with `replace` instead.

    Parameters
    ----------
    match, replace
        Beginnings of addresses, ``scheme://host:port/…``; both end with a slash or neither does.
    """

    match: str
    replace: str


def rules_from(entries: object) -> tuple[CacheRule, ...]:
    """Read ``[{"match", "replace"}]``.

    Raises
    ------
    ValueError
        Something in it cannot be meant; the message names it.
    """
    if not isinstance(entries, list | tuple):
        raise ValueError("cache rules: not a list")  # noqa: TRY004 - of a document
    return tuple(_rule_from(entry) for entry in entries)


def _rule_from(entry: object) -> CacheRule:
    match = entry.get("match") if isinstance(entry, dict) else None
    replace = entry.get("replace") if isinstance(entry, dict) else None
    for text in (match, replace):
        if not isinstance(text, str) or "://" not in text or not is_printable(text):
            raise ValueError(f"cache rule: {text!r} is not the beginning of an address")
    if str(match).endswith("/") != str(replace).endswith("/"):
        raise ValueError(f"cache rule: {match!r} and {replace!r} must both end with a slash or not")
    return CacheRule(canonical(str(match)), _client_scheme(str(replace)))


def canonical(url: str) -> str:
    """Write an address so that "begins with" can be tested on text.

    Scheme and host in lower case, the scheme's name for clients, no default port. The path stays.

    Examples
    --------
    >>> canonical("davs://Disk.Example.org:443/store/A")
    'https://disk.example.org/store/A'
    """
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    scheme = _SAME.get(scheme.lower(), scheme.lower())
    return f"{scheme}{separator}{_without_default_port(scheme, host.lower())}{slash}{path}"


def _client_scheme(url: str) -> str:
    """Name the scheme as clients do; nothing else changes."""
    scheme, separator, rest = url.partition("://")
    return _SAME.get(scheme.lower(), scheme.lower()) + separator + rest


def _without_default_port(scheme: str, host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port == str(_DEFAULT_PORT.get(scheme)) else host


def rewritten(pfn: str, rules: Sequence[CacheRule]) -> tuple[str, int | None]:
    """Return the address to open, and the number of the rule that made it (``None``: none fits)."""
    address = canonical(pfn)
    for number, rule in enumerate(rules):
        if _below(address, rule.match):
            return rule.replace + address[len(rule.match) :], number
    return address, None


def door_of(url: str, doors: Iterable[Door]) -> Door | None:
    """Return the door that an address lies below; the deepest one where doors are nested."""
    address = canonical(url)
    fitting = [door for door in doors if _below(address, canonical(door.url))]
    return max(fitting, key=lambda door: len(door.url), default=None)


def _below(address: str, start: str) -> bool:
    """Tell whether an address begins so, on the border of a path component."""
    if not address.startswith(start):
        return False
    return start.endswith("/") or address[len(start) : len(start) + 1] in {"", "/"}


@dataclass(frozen=True, slots=True)
class Replica:
    """One way to a file.

    Parameters
    ----------
    rse
        Name of the storage element.
    pfn
        The address as Rucio has it.
    url
        The address to open.
    rule
        Number of the cache rule that made `url`, ``None`` where it is the storage's own.
    door
        Name of the door that `url` lies below.
    """

    rse: str
    pfn: str
    url: str
    rule: int | None
    door: str | None

    def as_json(self) -> dict[str, Any]:
        """Return the row of ``POST af/rucio/replicas``."""
        via = "direct" if self.rule is None else "cache"
        return {
            "rse": self.rse,
            "pfn": self.pfn,
            "url": self.url,
            "via": via,
            "door": self.door,
        }


@dataclass(frozen=True, slots=True)
class FileReplicas:
    """A file and the ways to it, best first.

    Parameters
    ----------
    did
        The file.
    bytes
        Its size, ``None`` where Rucio does not say.
    replicas
        Ways that a Lab can go.
    """

    did: Did
    bytes: int | None
    replicas: tuple[Replica, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the entry of ``POST af/rucio/replicas``."""
        return {
            **self.did.as_json(),
            "bytes": self.bytes,
            "replicas": [replica.as_json() for replica in self.replicas],
        }


def file_replicas(
    row: Mapping[str, Any], rules: Sequence[CacheRule], doors: Sequence[Door]
) -> FileReplicas:
    """Read one row of Rucio's ``POST /replicas/list``.

    The order is: through the cache and below a door (for which the Lab has tokens), below a door,
    through the cache, the rest; among equals the rule that the facility wrote first, then Rucio's
    own order.

    Raises
    ------
    ValueError
        This is no row of Rucio's.
    """
    scope, name, pfns = row.get("scope"), row.get("name"), row.get("pfns")
    if not isinstance(scope, str) or not isinstance(name, str) or not isinstance(pfns, dict):
        raise ValueError("no replica row")  # noqa: TRY004 - of a document
    found = [_replica(pfn, about, rules, doors) for pfn, about in pfns.items() if _is_address(pfn)]
    usable = [replica for replica in found if replica.url.partition("://")[0] in OPENABLE]
    # sorted() keeps Rucio's order among equals
    return FileReplicas(
        Did(scope, name), count_of(row.get("bytes")), tuple(sorted(usable, key=_rank))
    )


def _replica(pfn: str, about: object, rules: Sequence[CacheRule], doors: Sequence[Door]) -> Replica:
    url, rule = rewritten(pfn, rules)
    if canonical(url) == canonical(pfn):
        rule = None  # it only names the scheme as clients do: that is no cache
    door = door_of(url, doors)
    if door is not None:
        # spelt as the door is, so that everybody sees by the text that it lies below
        url = door.url + canonical(url)[len(canonical(door.url)) :]
    rse = about.get("rse") if isinstance(about, dict) else None
    return Replica(str(rse or ""), pfn, url, rule, door.name if door else None)


def _is_address(pfn: str) -> bool:
    """Tell whether a text can be an address at all."""
    try:
        parts = urlsplit(pfn)
    except ValueError:
        return False
    return bool(parts.scheme and parts.hostname) and is_printable(pfn) and len(pfn) < 8192


def _rank(replica: Replica) -> tuple[int, int]:
    cached, known = replica.rule is not None, replica.door is not None
    group = 0 if cached and known else 1 if known else 2 if cached else 3
    return group, replica.rule or 0
