"""JupyterHub scopes and roles of the token broker.

``configure`` (or a hand-written ``jupyterhub_config.py``) sets::

    c.JupyterHub.custom_scopes = custom_scopes(services)
    c.JupyterHub.load_roles = roles(services)
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from af_hub.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

TOKEN_SCOPE: Final = "custom:af:token"  # noqa: S105  a scope's name
"""With ``!user``: tokens of one's own login, from one's own server."""


SCOPE_LENGTH: Final = 1000
"""Characters that a request for a narrower token may have; RFC 6749 sets no limit."""

_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


def narrowed(asked: str, configured: str) -> str:
    """Return the scope of a narrower token: what was asked, in order, each once.

    A path scope (WLCG profile, ``storage.read:/store``) covers what lies below it, by whole path
    components: ``/store`` covers ``/store/cms`` and not ``/storehouse``. INDIGO IAM compares
    beginnings of text instead. Any other scope covers itself.

    Parameters
    ----------
    asked
        Scopes separated by spaces; empty = all that is configured.
    configured
        The scopes of the audience.

    Raises
    ------
    Refusal
        ``scope-refused`` if one of them is not covered or not well formed.
    """
    if not asked:
        return configured
    wanted = sorted(set(asked.split(" "))) if len(asked) <= SCOPE_LENGTH else [""]
    held = configured.split()
    if not all(_SCOPE.fullmatch(one) and any(_covers(h, one) for h in held) for one in wanted):
        raise Refusal("scope-refused", "This facility gives no token of that scope and audience.")
    return " ".join(wanted)


def covered(wanted: str, held: str) -> str:
    """Return the scopes of `wanted` that a token with the scope `held` can be exchanged for.

    INDIGO IAM refuses the whole exchange for one scope that the login token lacks: somebody who
    joined a group since would get no token at all until the next login. Where nothing is covered,
    everything is returned, and the provider says no in its own words.
    """
    found = [one for one in wanted.split() if any(_covers(h, one) for h in held.split())]
    return " ".join(found) or wanted


def _covers(held: str, wanted: str) -> bool:
    if wanted == held:
        return True
    name, _, path = held.partition(":")
    other, _, below = wanted.partition(":")
    if name != other or not path.startswith("/") or not below.startswith("/"):
        return False
    parts = below.split("/")[1:]
    # what a server would resolve, or decode, to another path is never narrower
    if any(part in {"", ".", ".."} or "%" in part for part in parts):
        return False
    above = [part for part in path.split("/") if part]
    return parts[: len(above)] == above


def service_scope(service: str) -> str:
    """Return the scope that lets `service` ask for tokens on any user's behalf."""
    return f"{TOKEN_SCOPE}:{service}"


def custom_scopes(services: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return ``JupyterHub.custom_scopes`` for the broker.

    Parameters
    ----------
    services
        Names of the hub services of ``identity.services``.
    """
    found: dict[str, dict[str, Any]] = {
        TOKEN_SCOPE: {"description": "Get short-lived access tokens of the identity provider."}
    }
    for service in services:
        found[service_scope(service)] = {
            "description": f"Get access tokens on users' behalf, as the service {service}."
        }
    return found


def roles(services: Iterable[str], further: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Return ``JupyterHub.load_roles`` for the broker.

    A server's token can hold only what its owner holds, hence the role ``user``; the broker
    itself refuses any token but that of a running server. The scopes of ``server`` beside ours
    are JupyterHub's defaults, which a role of that name replaces.

    Parameters
    ----------
    services
        Names of the hub services of ``identity.services``; each must be in
        ``JupyterHub.services``.
    further
        Scopes that users and their servers get as well, for example to reach a service.
    """
    own = [f"{TOKEN_SCOPE}!user", *further]
    return [
        {"name": "user", "scopes": ["self", *own]},
        {"name": "server", "scopes": ["users:activity!user", "access:servers!server", *own]},
        *(
            {
                "name": f"af-token-{service}",
                "description": f"Access tokens on users' behalf for {service}",
                "scopes": [service_scope(service)],
                "services": [service],
            }
            for service in services
        ),
    ]
