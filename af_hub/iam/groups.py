"""Group paths and the patterns that facility files use: pure functions.

A canonical group is a full path with a leading slash, ``/cms/uscms``, by the grammar of the
WLCG Common JWT Profile 1.3. Names are compared byte by byte and by path component: ``/cms`` is
neither ``/CMS`` nor the beginning of ``/cms-x``, and a child does not imply its parent.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from af_hub.errors import IdentityError

if TYPE_CHECKING:
    from collections.abc import Iterable

_COMPONENT: Final = r"/[a-zA-Z0-9][a-zA-Z0-9_.-]*"
_GROUP: Final = re.compile(rf"(?:{_COMPONENT})+")
_PATTERN: Final = re.compile(rf"(?P<base>(?:{_COMPONENT})*)(?P<tail>/\*\*|/\*)?")

MAX_LENGTH: Final = 255
"""Characters of a group: the width of JupyterHub's group name column."""

STORED_LIMIT: Final = 200
"""Groups of one user that become JupyterHub groups: it reads all of them at each request."""


def is_group(text: str) -> bool:
    r"""Tell whether `text` is a canonical group.

    Examples
    --------
    >>> is_group("/cms/uscms"), is_group("cms"), is_group("/cms/"), is_group("/cms\\n")
    (True, False, False, False)
    """
    return len(text) <= MAX_LENGTH and _GROUP.fullmatch(text) is not None


def check_pattern(pattern: str) -> str:
    """Return `pattern` if it is one.

    Raises
    ------
    ValueError
        If it is none of ``/group``, ``/group/*``, ``/group/**``.
    """
    if not pattern or len(pattern) > MAX_LENGTH or not _PATTERN.fullmatch(pattern):
        raise ValueError(
            f"{pattern!r} is not a group pattern. Write /cms for exactly that group, "
            "/cms/* for its direct children, /cms/** for everything below it."
        )
    return pattern


def matches(group: str, pattern: str) -> bool:
    """Tell whether a canonical group fits one pattern.

    Parameters
    ----------
    group
        For example ``/cms/uscms``.
    pattern
        ``/cms`` (exactly), ``/cms/*`` (one level below) or ``/cms/**`` (any level below; not
        ``/cms`` itself).

    Examples
    --------
    >>> matches("/cms/uscms", "/cms/*"), matches("/cms", "/cms/**"), matches("/cmsx", "/cms/**")
    (True, False, False)
    """
    if pattern.endswith("/**"):
        return group.startswith(pattern[:-2])
    if pattern.endswith("/*"):
        base = pattern[:-1]
        return group.startswith(base) and "/" not in group[len(base) :]
    return group == pattern


def matches_any(groups: Iterable[str], patterns: Iterable[str]) -> bool:
    """Tell whether any of `groups` fits any of `patterns`; False if either is empty."""
    return bool(select(groups, patterns))


def select(groups: Iterable[str], patterns: Iterable[str]) -> tuple[str, ...]:
    """Return the groups that fit any of the patterns, in their order."""
    patterns = tuple(patterns)
    exact = frozenset(pattern for pattern in patterns if not pattern.endswith("*"))
    wild = tuple(pattern for pattern in patterns if pattern.endswith("*"))
    # exact names by set: 10,000 groups against a long list must not hold the event loop
    return tuple(
        group
        for group in groups
        if group in exact or any(matches(group, pattern) for pattern in wild)
    )


def stored(
    groups: Iterable[str], patterns: Iterable[str], *, named: Iterable[str] = ()
) -> tuple[str, ...]:
    """Return the groups that JupyterHub is told of, at most `STORED_LIMIT`.

    Parameters
    ----------
    groups
        All groups of a user, sorted.
    patterns
        Which may be stored.
    named
        Further patterns; groups that any pattern names exactly come first.
    """
    patterns = tuple(patterns)
    chosen = select(groups, patterns)
    if len(chosen) <= STORED_LIMIT:
        return chosen
    first = frozenset((*patterns, *named))
    return tuple(sorted(chosen, key=lambda group: (group not in first, group))[:STORED_LIMIT])


def canonical(names: Iterable[object], *, slash: bool | None) -> tuple[str, ...]:
    """Return canonical groups, sorted and without repetition.

    Parameters
    ----------
    names
        As the token wrote them.
    slash
        Whether the token's profile writes the leading slash; None accepts both.

    Raises
    ------
    IdentityError
        ``groups-malformed`` if any is not a group: refused, never repaired.
    """
    found = set()
    for name in names:
        if not isinstance(name, str) or (slash is not None and name.startswith("/") is not slash):
            raise _malformed()
        group = name if name.startswith("/") else f"/{name}"
        if not is_group(group):
            raise _malformed()
        found.add(group)
    return tuple(sorted(found))


def _malformed() -> IdentityError:
    # without the claim's value: it is foreign text
    return IdentityError(
        "groups-malformed",
        "Your identity provider sent a list of groups that cannot be read. "
        "Please tell the facility's support; nothing is wrong with your account's password.",
    )
