"""JupyterHub scopes and roles that the facility needs. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from af_hub.compute.settings import SERVICE_NAME

if TYPE_CHECKING:
    from af_hub.facility.models import FacilityConfig

TOKEN_SCOPE = "custom:af:token"  # noqa: S105  the name of a scope
"""Ask for one's own access tokens and the facility's description; used with ``!user``."""


def service_scope(service: str) -> str:
    """Name the scope by which one hub service asks for tokens on users' behalf."""
    return f"{TOKEN_SCOPE}:{service}"


def custom_scopes(facility: FacilityConfig) -> dict[str, dict[str, str]]:
    """Declare our scopes, for ``JupyterHub.custom_scopes``."""
    scopes = {
        TOKEN_SCOPE: {"description": "Get short-lived access tokens for the facility's services"}
    }
    for service in facility.identity.services:
        scopes[service_scope(service)] = {
            "description": f"Get access tokens on users' behalf, as service {service}"
        }
    return scopes


def roles(facility: FacilityConfig) -> list[dict[str, Any]]:
    """List roles, for ``JupyterHub.load_roles``.

    A server's token gets no more than its user has, so the scope stands in both roles.
    """
    own = [f"{TOKEN_SCOPE}!user"]
    if facility.compute.gateway is not None:
        # Dask Gateway lets in whose token has this one
        own.append(f"access:services!service={SERVICE_NAME}")
    return [
        {"name": "user", "scopes": ["self", *own]},
        {"name": "server", "scopes": ["users:activity!user", "access:servers!server", *own]},
        *(
            {
                "name": f"af-{service}",
                "description": f"Tokens on users' behalf for {service}",
                "services": [service],
                "scopes": [service_scope(service)],
            }
            for service in facility.identity.services
        ),
    ]
