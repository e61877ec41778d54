"""What the gateway needs to know beside the facility's cluster types. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from af_hub.errors import SetupError
from af_hub.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from af_hub.compute.types import ComputeConfig

SERVICE_NAME = "dask-gateway"
"""Name of the gateway as a service of the hub; also part of scopes and URLs."""
PREFIX = f"/services/{SERVICE_NAME}"
"""Path below which the hub's proxy passes requests on, whole."""


def dask_access() -> tuple[str, ...]:
    """Return the scopes that a user's token needs to use the gateway.

    Gateway asks the hub who a token belongs to and in which groups that user is; the cluster types
    that the user may start depend on the groups.
    """
    return (f"access:services!service={SERVICE_NAME}", "read:users:groups!user")


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """One gateway.

    Parameters
    ----------
    compute
        The facility's cluster types.
    address
        ``host:port`` that the gateway listens at.
    proxy_http, proxy_tcp
        ``host:port`` that the gateway's proxy listens at; only the second one is for users.
    folder
        Database and clusters' folders.
    hub_api_url
        JupyterHub's API without the proxy, for example ``http://127.0.0.1:8081/hub/api``.
    hub_token_file, proxy_token_file
        The service's hub token; the token between gateway and proxy (64 hex digits).
    encrypt_key_file
        64 hex digits: encrypts clusters' keys and tokens in the database.
    environment
        For schedulers and workers; no secret.
    """

    compute: ComputeConfig
    address: str
    proxy_http: str
    proxy_tcp: str
    folder: Path
    hub_api_url: str
    hub_token_file: Path
    proxy_token_file: Path
    encrypt_key_file: Path
    environment: Mapping[str, str] = field(default_factory=dict)


def read_secret(path: Path) -> Secret:
    """Read a secret file of one line.

    Raises
    ------
    SetupError
        ``secret-file`` if it is missing, empty or readable by others.
    """
    try:
        mode = path.stat().st_mode & 0o077
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError("secret-file", f"The secret file {path} cannot be read.") from error
    if mode:
        raise SetupError("secret-file", f"The secret file {path} is open to others: chmod 600 it.")
    if not re.fullmatch(r"[!-~]{16,512}", text):
        raise SetupError("secret-file", f"The secret file {path} does not hold a secret.")
    return Secret(text)
