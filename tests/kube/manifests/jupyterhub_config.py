"""The hub's configuration in the tests' cluster: as in any hub, and its addresses here."""

from __future__ import annotations

import os
from pathlib import Path

import af_hub

c = get_config()  # type: ignore[name-defined]  # noqa: F821  given by traitlets
here = Path("/etc/analysis-facility")


def secret(name: str) -> str:
    """Read a secret from its file."""
    return (here / "secrets" / name).read_text(encoding="ascii").strip()


af_hub.configure(c, here / "facility.yaml", spawner="af-kube")

c.JupyterHub.bind_url = c.JupyterHub.public_url = os.environ["PUBLIC_URL"]
c.JupyterHub.hub_bind_url = "http://:8081"
c.JupyterHub.hub_connect_url = "http://hub:8081"
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = "http://proxy-api:8001"
c.ConfigurableHTTPProxy.auth_token = secret("proxy-token")
c.IAMAuthenticator.authorize_url = os.environ["AUTHORIZE_URL"]

c.JupyterHub.db_url = "sqlite:////srv/jupyterhub/jupyterhub.sqlite"
c.JupyterHub.upgrade_db = True
c.JupyterHub.cookie_secret = bytes.fromhex(secret("cookie-secret"))
c.CryptKeeper.keys = [secret("crypt-key")]
c.JupyterHub.cleanup_servers = False

# images are loaded into the node, and it has two cores
c.KubeSpawner.image_pull_policy = "Never"
c.KubeSpawner.reserved_cpu = 0.05
c.KubeSpawner.start_timeout = 120

# the tests themselves
c.JupyterHub.services = [{"name": "tester", "api_token": secret("tester-token")}]
scopes = ["admin:users", "admin:servers", "access:servers", "read:metrics", "read:hub"]
c.JupyterHub.load_roles.append({"name": "tester", "services": ["tester"], "scopes": scopes})
