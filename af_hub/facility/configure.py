"""From the facility file to traits: ``af_hub.configure(c, path)`` in any ``jupyterhub_config.py``.

It sets traits and nothing else; whatever the file says can also be set by hand.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from af_hub.compute.settings import dask_access
from af_hub.errors import ConfigError
from af_hub.facility.handlers import LabHandler
from af_hub.facility.load import load
from af_hub.facility.pages import TEMPLATES, page_variables
from af_hub.iam.scopes import custom_scopes, roles
from af_hub.spawner.refusals import NoTracebackForRefusals

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from traitlets.config import Config

    from af_hub.facility.identity import Identity
    from af_hub.facility.models import FacilityConfig

_SPAWNER_CLASSES = {"af-local": "LocalSpawner"}


def configure(
    c: Config, path: str | Path, *, spawner: str | None = None, without: Collection[str] = ()
) -> FacilityConfig:
    """Set JupyterHub's traits from a facility file.

    Parameters
    ----------
    c
        The configuration object of ``jupyterhub_config.py`` (``get_config()``).
    path
        The facility file.
    spawner
        Entry point of the spawner: ``af-local``; None leaves ``spawner_class`` as it is and sets
        the traits of all our spawners.
    without
        Names of storage doors to leave out, with the cache rules that lead there: of a cache that
        does not run at the moment.

    Returns
    -------
    FacilityConfig
        What the file says, for further settings by hand.

    Raises
    ------
    ConfigError
        If the file is wrong (all problems at once), the variable of the client secret is empty, or
        there is no such spawner or door.

    Examples
    --------
    ::

        import af_hub

        c = get_config()
        af_hub.configure(c, "/etc/facility.yaml", spawner="af-local")
    """
    facility = load(path).without_doors(without)
    _identity(c, facility.identity)
    _spawner(c, facility, spawner)
    _pages(c, facility)
    hub = c.JupyterHub
    routes = [(r"/api/af/lab", LabHandler, {"facility": facility})]
    _extend(c.IAMAuthenticator, "extra_routes", routes)
    access = dask_access() if facility.compute.gateway is not None else ()
    _extend(hub, "load_roles", roles(facility.identity.services, access))
    hub.custom_scopes = {
        **_current(hub, "custom_scopes", {}),
        **custom_scopes(facility.identity.services),
    }
    _quiet_refusals()
    return facility


def _identity(c: Config, identity: Identity) -> None:
    """Set the authenticator."""
    c.JupyterHub.authenticator_class = "af-iam"
    ours = c.IAMAuthenticator
    ours.issuer = identity.issuer
    ours.access_token_issuer = identity.access_token_issuer or ""
    ours.client_id = identity.client_id
    if identity.client_secret_file is not None:
        # the file, not its content: a secret can be replaced without a restart
        ours.client_secret_file = str(identity.client_secret_file)
    else:
        ours.client_secret = _secret_of(identity.client_secret_env or "")
    ours.ca_file = str(identity.ca_file or "")
    ours.token_profile = identity.token_profile
    ours.allowed_groups = set(identity.allowed_groups)
    ours.admin_groups = set(identity.admin_groups)
    ours.token_audiences = {
        name: audience.model_dump() for name, audience in identity.audiences.items()
    }
    ours.token_services = {
        name: {"audiences": list(service.audiences)} for name, service in identity.services.items()
    }


def _secret_of(variable: str) -> str:
    """Read the client secret from an environment variable of the hub."""
    secret = os.environ.get(variable, "").strip()
    if not secret:
        raise ConfigError(
            "client-secret",
            f"The environment variable {variable} (identity.client_secret_env) holds nothing.",
        )
    return secret


def _spawner(c: Config, facility: FacilityConfig, name: str | None) -> None:
    """Set our spawners."""
    if name is not None:
        if name not in _SPAWNER_CLASSES:
            known = ", ".join(_SPAWNER_CLASSES)
            raise ConfigError("unknown-spawner", f"There is no spawner {name!r}; known: {known}.")
        c.JupyterHub.spawner_class = name
    for class_name in _SPAWNER_CLASSES.values():
        section = c[class_name]
        section.profiles = [profile.model_dump() for profile in facility.profiles]
        section.lab_environment = lab_environment(facility)
        section.support_link = facility.about.support or ""


def lab_environment(facility: FacilityConfig) -> dict[str, str]:
    """Say where the facility's services are, as the tools in a Lab expect it. Pure.

    Parameters
    ----------
    facility
        The facility.

    Returns
    -------
    dict
        Environment variables; none is secret.
    """
    variables = {"AF_ISSUER": facility.identity.issuer}
    if facility.identity.ca_file is not None:
        names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
        variables |= dict.fromkeys(names, str(facility.identity.ca_file))
    if facility.identity.ca_directory is not None:
        # XRootD's clients do not look at the system's authorities (5.5)
        variables["X509_CERT_DIR"] = str(facility.identity.ca_directory)
    if facility.storage:
        # where examples and notebooks find the data without an address written into them
        variables["AF_STORAGE_URL"] = facility.storage[0].url
        # to whom programs may show which token
        doors = (f"{door.audience}={door.url}" for door in facility.storage)
        variables["AF_DOORS"] = " ".join(doors)
    if facility.compute.gateway is not None:
        variables |= {
            "DASK_GATEWAY__ADDRESS": facility.compute.gateway.address,
            "DASK_GATEWAY__PROXY_ADDRESS": facility.compute.gateway.proxy_address,
            "DASK_GATEWAY__AUTH__TYPE": "jupyterhub",
        }
    return variables


def _pages(c: Config, facility: FacilityConfig) -> None:
    """Give the hub's pages the facility's name and links."""
    hub = c.JupyterHub
    _extend(hub, "template_paths", [str(TEMPLATES)])
    hub.template_vars = {**_current(hub, "template_vars", {}), **page_variables(facility.about)}
    if facility.about.logo is not None:
        hub.logo_file = str(facility.about.logo)


def _current(section: Config, name: str, default: Any) -> Any:
    """Read a trait that may have been set before; ``Config`` invents what was not."""
    return section[name] if name in section else default  # noqa: SIM401  Config.get does not work


def _extend(section: Config, name: str, items: list[Any]) -> None:
    """Add to a list trait what somebody else may have begun."""
    section[name] = [*_current(section, name, []), *items]


def _quiet_refusals() -> None:
    """Keep tracebacks of refusals out of the hub's log."""
    log = logging.getLogger("JupyterHub")
    if not any(isinstance(item, NoTracebackForRefusals) for item in log.filters):
        log.addFilter(NoTracebackForRefusals())
