"""Which rights a WebDAV request needs. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from af_hub.embedded.storage.grants import Right

if TYPE_CHECKING:
    from collections.abc import Callable

    from af_hub.embedded.storage.grants import Grants

METHODS = frozenset(
    {"OPTIONS", "GET", "HEAD", "PROPFIND", "PUT", "MKCOL", "DELETE", "MOVE", "COPY"}
)
"""What is served. No locks and no properties: nobody reading physics data needs them."""

READING = {"GET": "read", "HEAD": "read", "COPY": "read"}


@dataclass(frozen=True, slots=True)
class Request:
    """The part of a request that decides.

    Parameters
    ----------
    method
        One of `METHODS`.
    path
        Clean path of the resource.
    destination
        Clean path that COPY and MOVE write to, else None.
    depth
        The Depth header.
    """

    method: str
    path: str
    destination: str | None = None
    depth: str = "infinity"


def refusal(request: Request, grants: Grants, exists: Callable[[str], bool]) -> str | None:
    """Return why a request is refused, as the end of "Your token does not allow …", or None.

    Parameters
    ----------
    request
        What is wanted.
    grants
        What the token gives.
    exists
        Tells whether a path exists: overwriting needs another right than creating.
    """
    method, path = request.method, request.path
    if method in {"PROPFIND", "OPTIONS"}:
        # the profile: every storage right includes stat. It defines no scope for listing;
        # a listing shows what leads to a right, see `af_hub.embedded.storage.tree`.
        return None if grants.show(path) else f"looking at {path}"
    if method in READING and not grants.allow(Right.READ, path):
        return f"reading {path}"
    if method in {"DELETE", "MOVE"} and not grants.allow(Right.MODIFY, path):
        return f"removing {path}"
    if method in {"PUT", "MKCOL"}:
        return _writing(path, grants, exists)
    if method in {"COPY", "MOVE"} and request.destination is not None:
        return _writing(request.destination, grants, exists)
    return None


def _writing(path: str, grants: Grants, exists: Callable[[str], bool]) -> str | None:
    if grants.allow(Right.MODIFY, path):
        return None
    if not grants.allow(Right.CREATE, path):
        return f"writing {path}"
    return f"overwriting {path}" if exists(path) else None
