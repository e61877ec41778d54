"""What a token allows: WLCG storage scopes. Pure.

Rules from the WLCG Common JWT Profile 1.3: ``storage.read:PATH`` and so on, the path mandatory and
hierarchical by component (``/store/cms`` does not cover ``/store/cmsx``), without ``..``. Groups
in the token are not looked at: a token that has been narrowed to a path must not be widened again
by its groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST = 4096
"""Characters of a path."""


class Right(StrEnum):
    """An operation that a scope can allow."""

    READ = "storage.read"
    CREATE = "storage.create"
    MODIFY = "storage.modify"


class PathError(ValueError):
    """A path that is refused whatever the token says."""


def clean_path(path: str) -> str:
    """Return a path in the one form that is judged and served.

    Parameters
    ----------
    path
        Absolute, already unquoted.

    Returns
    -------
    str
        Without double and trailing slashes; ``/`` for the root.

    Raises
    ------
    PathError
        It is not absolute, too long, or has ``.``, ``..`` or control characters in it. They are
        refused rather than resolved: whoever sends them is mistaken or up to something.
    """
    if not path.startswith("/") or len(path) > LONGEST:
        raise PathError("the path must be absolute and of a sane length")
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in path):
        raise PathError("the path has control characters in it")
    parts = [part for part in path.split("/") if part]
    if any(part in {".", ".."} for part in parts):
        raise PathError("the path has '.' or '..' in it")
    return "/" + "/".join(parts)


def covers(base: str, path: str) -> bool:
    """Tell whether `path` is `base` or below it; both as `clean_path` returns them."""
    return base in {"/", path} or path.startswith(f"{base}/")


@dataclass(frozen=True, slots=True)
class Grants:
    """The storage scopes of one token.

    Parameters
    ----------
    paths
        Pairs of right and path.
    """

    paths: frozenset[tuple[Right, str]]

    @classmethod
    def from_claims(cls, claims: Mapping[str, object]) -> Grants:
        """Read the ``scope`` claim; scopes that are not ours or not well formed give nothing."""
        scope = claims.get("scope", "")
        found = set()
        for word in scope.split(" ") if isinstance(scope, str) else ():
            name, colon, path = word.partition(":")
            # a missing path must be refused, not taken for "/"
            if not colon or name not in set(Right):
                continue
            try:
                found.add((Right(name), clean_path(unquote(path, errors="strict"))))
            except ValueError:
                continue
        return cls(frozenset(found))

    def allow(self, right: Right, path: str) -> bool:
        """Tell whether `path` may be used in this way."""
        return any(right == held and covers(base, path) for held, base in self.paths)

    def show(self, path: str) -> bool:
        """Tell whether `path` may be seen: any right there, or it leads to one.

        A user who may read ``/store/cms`` has to find it from ``/``.
        """
        return any(covers(base, path) or covers(path, base) for _, base in self.paths)

    def __str__(self) -> str:
        """Write as scopes, for a message to their holder."""
        return " ".join(sorted(f"{right}:{path}" for right, path in self.paths)) or "no path at all"
