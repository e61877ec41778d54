"""Who gets which scope: pure functions.

IAM calls these scope policies: a scope that a policy refuses is dropped from the answer, it is
not an error. A scope that the client was not registered for is one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from af_hub.embedded.iam.people import Person

_PATH_SCOPE = re.compile(r"storage\.(?:read|modify|create|stage):(?P<path>/[!#-\[\]-~]{0,1023})")

STORE_RULES: Final[dict[str, str | None]] = {
    "/store/cms": "cms",
    "/store/atlas": "atlas",
    "/store/open": None,
}
"""Folder → group whose members get it; None means everybody."""


def split(scope: str | None) -> list[str]:
    """Return the single scopes of a scope string, in order and without repetition."""
    return list(dict.fromkeys((scope or "").split()))


def path_of(scope: str) -> str | None:
    """Return the path of a storage scope, None for any other scope."""
    match = _PATH_SCOPE.fullmatch(scope)
    return match["path"] if match else None


def is_clean(path: str) -> bool:
    """Tell whether a path has no empty, ``.`` or ``..`` component.

    (The real IAM answers 500 to ``..``; a clear refusal serves better.)
    """
    parts = path.removesuffix("/").split("/")[1:]
    return all(part not in {"", ".", ".."} for part in parts)


def is_below(path: str, parent: str) -> bool:
    """Compare by path component: ``/cmsx`` is not below ``/cms``.

    (The real IAM's matcher compares prefixes and lets ``/cmsx`` through.)
    """
    parent = parent.rstrip("/")
    return path.rstrip("/") == parent or path.startswith(parent + "/")


def covers(held: str, wanted: str) -> bool:
    """Tell whether scope `held` includes scope `wanted`.

    A path scope includes the paths below it, ``wlcg.groups`` includes ``wlcg.groups:/any``.
    """
    if held == wanted or (held == "wlcg.groups" and wanted.startswith("wlcg.groups:/")):
        return True
    held_path, wanted_path = path_of(held), path_of(wanted)
    if held_path is None or wanted_path is None or not is_clean(wanted_path):
        return False
    return held.partition(":")[0] == wanted.partition(":")[0] and is_below(wanted_path, held_path)


def within(wanted: Iterable[str], held: Iterable[str]) -> bool:
    """Tell whether each wanted scope is included in some held one."""
    held = tuple(held)
    return all(any(covers(one, scope) for one in held) for scope in wanted)


def is_permitted(scope: str, person: Person) -> bool:
    """Tell whether the scope policies let `person` have `scope`."""
    path = path_of(scope)
    if path is None:
        return True
    for folder, group in STORE_RULES.items():
        if is_below(path, folder):
            return group is None or any(is_below(f"/{g}", f"/{group}") for g in person.groups)
    return False


def permitted(scopes: Iterable[str], person: Person) -> list[str]:
    """Return the scopes that the policies let `person` have, in the same order."""
    return [scope for scope in scopes if is_permitted(scope, person)]
