"""From the facility file to traits: ``af_hub.configure(c, path)`` in any ``jupyterhub_config.py``.

It sets traits and nothing else; whatever the file says can also be set by hand.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from af_hub.compute.settings import dask_access
from af_hub.errors import ConfigError
from af_hub.facility.activity import ActivityHandler
from af_hub.facility.handlers import LabHandler
from af_hub.facility.load import load
from af_hub.facility.pages import TEMPLATES, page_variables
from af_hub.iam.scopes import custom_scopes, roles
from af_hub.spawner.kube.pod import AUTHORITIES, CA_BUNDLE
from af_hub.spawner.page.handlers import ROUTES
from af_hub.spawner.refusals import quiet_refusals
from af_hub.spawner.starts.handlers import STARTS

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from traitlets.config import Config

    from af_hub.facility.identity import Identity
    from af_hub.facility.kubernetes import Kubernetes
    from af_hub.facility.models import FacilityConfig

_SPAWNER_CLASSES = {"af-local": "LocalSpawner", "af-kube": "KubeSpawner"}


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
        Entry point of the spawner: ``af-local`` or ``af-kube``; None leaves ``spawner_class`` as it is and sets
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
        If the file is wrong (all problems at once), the variable of the client secret is empty,
        there is no such spawner or door, or ``af-kube`` finds no section ``kubernetes``.

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
    routes = [
        (r"/api/af/lab", LabHandler, {"facility": facility}),
        (r"/api/af/activity", ActivityHandler),
        *ROUTES,
        *STARTS,
    ]
    _extend(c.IAMAuthenticator, "extra_routes", routes)
    access = dask_access() if facility.compute.gateway is not None else ()
    _extend(hub, "load_roles", roles(facility.identity.services, access))
    hub.custom_scopes = {
        **_current(hub, "custom_scopes", {}),
        **custom_scopes(facility.identity.services),
    }
    quiet_refusals()
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
    identity, kubernetes = facility.identity, facility.kubernetes
    _profiles(c.LocalSpawner, facility)
    c.LocalSpawner.lab_environment = lab_environment(facility)
    if kubernetes is not None:
        _profiles(c.KubeSpawner, facility)
        _pods(c.KubeSpawner, kubernetes)
        mounted = kubernetes.ca_config_map is not None
        c.KubeSpawner.lab_environment = services(facility) | authorities(
            CA_BUNDLE if mounted and identity.ca_file is not None else None,
            AUTHORITIES if mounted and identity.ca_directory is not None else None,
        )
    elif name == "af-kube":
        raise ConfigError(
            "no-kubernetes",
            "The facility file has no section kubernetes: say there what Labs are made of.",
        )


def _profiles(section: Config, facility: FacilityConfig) -> None:
    """Set what our spawners have in common."""
    section.profiles = list(facility.profiles)
    section.limits = list(facility.limits)
    section.support_link = facility.about.support or ""


def _pods(section: Config, kubernetes: Kubernetes) -> None:
    """Set what only pods have."""
    section.image = kubernetes.lab_image
    section.ca_config_map = kubernetes.ca_config_map or ""
    section.storage_pvc_ensure = kubernetes.home is not None
    if kubernetes.namespace is not None:
        section.namespace = kubernetes.namespace
    if kubernetes.hub_url is not None:
        section.hub_connect_url = kubernetes.hub_url
    if kubernetes.home is not None:
        section.storage_capacity = str(kubernetes.home.size)
        if kubernetes.home.storage_class is not None:
            section.storage_class = kubernetes.home.storage_class


def lab_environment(facility: FacilityConfig) -> dict[str, str]:
    """Say where the facility's services are and whom to trust, for a Lab beside the hub. Pure.

    Parameters
    ----------
    facility
        The facility.

    Returns
    -------
    dict
        Environment variables; none is secret.
    """
    identity = facility.identity
    return services(facility) | authorities(identity.ca_file, identity.ca_directory)


def authorities(ca_file: Path | None, ca_directory: Path | None) -> dict[str, str]:
    """Say where the certificate authorities are, as the tools in a Lab expect it. Pure."""
    names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    variables = {} if ca_file is None else dict.fromkeys(names, str(ca_file))
    if ca_directory is not None:
        # XRootD's clients do not look at the system's authorities (5.5)
        variables["X509_CERT_DIR"] = str(ca_directory)
    return variables


def services(facility: FacilityConfig) -> dict[str, str]:
    """Say where the facility's services are, as the tools in a Lab expect it. Pure."""
    variables = {"AF_ISSUER": facility.identity.issuer}
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
