"""JupyterHub scopes and roles of the token broker.

``configure`` (or a hand-written ``jupyterhub_config.py``) sets::

    c.JupyterHub.custom_scopes = custom_scopes(services)
    c.JupyterHub.load_roles = roles(services)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

TOKEN_SCOPE: Final = "custom:af:token"  # noqa: S105  a scope's name
"""With ``!user``: tokens of one's own login, from one's own server."""


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
