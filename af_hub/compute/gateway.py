"""Configuration of dask-gateway-server for a facility."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from af_hub.compute.backend import FacilityBackend
from af_hub.compute.settings import SERVICE_NAME, read_secret

if TYPE_CHECKING:
    from af_hub.compute.settings import GatewaySettings
    from af_hub.secret import Secret

DASK_COMMAND = str(Path(sys.executable).with_name("dask"))
"""The ``dask`` command of this environment; distributed 2026 has no ``dask-scheduler`` any more."""


def configure(c: Any, settings: GatewaySettings) -> None:
    """Set Dask Gateway's traits; for its configuration file.

    Parameters
    ----------
    c
        The configuration object of the file (``get_config()``).
    settings
        This gateway.

    Raises
    ------
    SetupError
        A secret file is missing, empty or open to others.
    """
    c.DaskGateway.address = settings.address
    c.DaskGateway.backend_class = FacilityBackend
    c.DaskGateway.authenticator_class = "dask_gateway_server.auth.JupyterHubAuthenticator"

    c.JupyterHubAuthenticator.jupyterhub_api_url = settings.hub_api_url
    c.JupyterHubAuthenticator.jupyterhub_api_token = read_secret(settings.hub_token_file).reveal()
    # with the name set, Gateway asks for the scope access:services!service=NAME; without it,
    # any token of the hub makes clusters
    c.JupyterHubAuthenticator.jupyterhub_service_name = SERVICE_NAME
    # a user that lost access is out within this many seconds
    c.JupyterHubAuthenticator.cache_max_age = 30

    _proxy(c, settings)
    _backend(c, settings)
    _clusters(c)


def _proxy(c: Any, settings: GatewaySettings) -> None:
    c.Proxy.address = settings.proxy_http
    c.Proxy.tcp_address = settings.proxy_tcp
    c.Proxy.api_token = read_secret(settings.proxy_token_file).reveal()
    # a process of its own: connections of clients live through a restart of the gateway
    c.Proxy.externally_managed = True


def _backend(c: Any, settings: GatewaySettings) -> None:
    backend = c.FacilityBackend
    backend.settings = settings
    backend.api_url = f"http://{settings.address}/api"
    backend.db_url = f"sqlite:///{settings.folder / 'gateway.sqlite'}"
    backend.db_encrypt_keys = [_fernet_key(read_secret(settings.encrypt_key_file))]
    backend.stop_clusters_on_shutdown = False
    # our preload tells changes at once; the heartbeat is for liveness only
    backend.cluster_heartbeat_period = 5
    # a gateway that is away for this long must not cost the clusters their life
    backend.cluster_heartbeat_timeout = 60.0
    backend.cluster_status_period = 1.0
    backend.worker_status_period = 2.0
    backend.check_timeouts_period = 5.0
    # a stop that fails is tried again, and its workers count for the quota as long
    backend.backoff_max_delay = 30.0


def _clusters(c: Any) -> None:
    # distributed 2026 has no dask-scheduler and dask-worker scripts, Gateway's defaults
    c.ClusterConfig.scheduler_cmd = [DASK_COMMAND, "scheduler"]
    c.ClusterConfig.worker_cmd = [DASK_COMMAND, "worker"]
    c.ClusterConfig.adaptive_period = 1.0


def _fernet_key(secret: Secret) -> str:
    """Turn 64 hex digits into the form that Gateway wants: 32 bytes in base64."""
    return base64.urlsafe_b64encode(bytes.fromhex(secret.reveal())).decode()
