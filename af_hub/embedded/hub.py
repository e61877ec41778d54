"""JupyterHub on one machine: its configuration file and how it is started.

The file does what an administrator would do in a ``jupyterhub_config.py`` of any other hub, call
`af_hub.configure`, and adds what is particular to one machine. Secrets are read from their files.
"""

from __future__ import annotations

import sys
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from af_hub.embedded import secrets
from af_hub.embedded.environment import without_proxy
from af_hub.embedded.files import write_atomically
from af_hub.embedded.parts import INSTANCE_VARIABLE, Part
from af_hub.embedded.probe import answers
from af_hub.embedded.wiring import LOOPBACK
from af_hub.embedded.xrootd.availability import doors_left_out

if TYPE_CHECKING:
    from af_hub.embedded.wiring import Wiring

CONFIG = Template('''\
"""Written anew by every `analysis-facility run`; changes belong into the facility file."""

from pathlib import Path

import af_hub

c = get_config()  # noqa: F821  given by traitlets


def secret(path):
    return Path(path).read_text(encoding="ascii").strip()


af_hub.configure(c, $facility_file, spawner="af-local", without=$without)

# --- addresses: the proxy is a process of its own and outlives the hub ---
c.JupyterHub.bind_url = c.JupyterHub.public_url = $public_url
c.JupyterHub.hub_bind_url = $hub_url
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = $proxy_api_url
c.ConfigurableHTTPProxy.auth_token = secret($proxy_token)
c.IAMAuthenticator.authorize_url = $authorize_url

# --- state: a restart of the hub finds users, logins and running servers ---
c.JupyterHub.db_url = $database
c.JupyterHub.upgrade_db = True
c.JupyterHub.cookie_secret_file = $cookie_secret
c.CryptKeeper.keys = [secret($crypt_key)]
c.JupyterHub.cleanup_servers = False

# --- Labs are local processes ---
c.LocalSpawner.home_root = $users
c.LocalSpawner.examples_dir = $examples
c.LocalSpawner.environment = {"$instance_variable": $instance}

# --- services ---
# how long the start waits for a service; the proxy's routes come after it, and a facility without
# Dask for a while is better than one without a hub
c.Service.timeout = 3
c.JupyterHub.services.extend(
    [
        {
            "name": "dask-gateway",
            "url": $gateway_url,
            "api_token": secret($gateway_token),
            "display": False,
        },
        {"name": "supervisor", "api_token": secret($supervisor_token)},
    ]
)
# the supervisor tells the hub when a new proxy has started, and may do nothing else
c.JupyterHub.load_roles.append(
    {"name": "supervisor", "scopes": ["proxy"], "services": ["supervisor"]}
)
''')


def examples_folder() -> Path:
    """Return the folder with the notebooks that every user gets.

    It is the checkout's own one if this is a checkout, else the one that the wheel installed.
    """
    checkout = Path(__file__).parents[2] / "examples"
    installed = Path(sys.prefix) / "share" / "analysis-facility" / "examples"
    return checkout if checkout.is_dir() else installed


def hub_part(wiring: Wiring) -> Part:
    """Write the hub's configuration and return how to start it."""
    config = wiring.layout.hub / "jupyterhub_config.py"
    write_atomically(config, _config_text(wiring))
    inside = answers(wiring.ports.hub, "/hub/api")
    outside = answers(wiring.ports.public, "/hub/api", host=wiring.host)

    async def ready() -> bool:
        # by way of the proxy, too: ready means that a browser gets in
        return await inside() and await outside()

    return Part(
        name="hub",
        title="JupyterHub",
        # -m: the program of this Python, whatever PATH says
        command=(sys.executable, "-m", "jupyterhub", "--config", str(config)),
        # Labs reach the gateway by the address that browsers use
        environment=without_proxy(wiring.host),
        ready=ready,
        address=f"http://{LOOPBACK}:{wiring.ports.hub}",
        after=("proxy",),
    )


def _config_text(wiring: Wiring) -> str:
    layout, ports = wiring.layout, wiring.ports
    values: dict[str, object] = {
        "facility_file": str(wiring.facility_file),
        "without": doors_left_out(wiring),
        "public_url": f"{wiring.public_url}/",
        "authorize_url": wiring.authorize_url,
        "hub_url": f"http://{LOOPBACK}:{ports.hub}",
        "proxy_api_url": f"http://{LOOPBACK}:{ports.proxy_api}",
        "proxy_token": str(layout.secret(secrets.PROXY_TOKEN)),
        "database": f"sqlite:///{layout.hub / 'jupyterhub.sqlite'}",
        "cookie_secret": str(layout.secret(secrets.COOKIE_SECRET)),
        "crypt_key": str(layout.secret(secrets.CRYPT_KEY)),
        "users": str(layout.users),
        "examples": str(examples_folder()),
        "instance": wiring.instance,
        "gateway_url": wiring.gateway_url,
        "gateway_token": str(layout.secret(secrets.GATEWAY_API_TOKEN)),
        "supervisor_token": str(layout.secret(secrets.SUPERVISOR_TOKEN)),
    }
    literals = {name: repr(value) for name, value in values.items()}
    return CONFIG.substitute(literals, instance_variable=INSTANCE_VARIABLE)
