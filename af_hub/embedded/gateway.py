"""Dask Gateway on one machine: the server and its proxy, each a process of its own."""

from __future__ import annotations

import sys
from string import Template
from typing import TYPE_CHECKING

from af_hub.compute.settings import PREFIX
from af_hub.embedded import secrets
from af_hub.embedded.files import write_atomically
from af_hub.embedded.parts import Part
from af_hub.embedded.probe import accepts, answers
from af_hub.embedded.wiring import LOOPBACK

if TYPE_CHECKING:
    from pathlib import Path

    from af_hub.embedded.wiring import Wiring

CONFIG = Template('''\
"""Written anew by every `analysis-facility run`; changes belong into the facility file."""

from pathlib import Path

from af_hub.compute.gateway import configure
from af_hub.compute.settings import GatewaySettings
from af_hub.facility import load
from af_hub.facility.configure import lab_environment

c = get_config()  # noqa: F821  given by traitlets
facility = load($facility_file)
configure(
    c,
    GatewaySettings(
        compute=facility.compute,
        address=$address,
        proxy_http=$proxy_http,
        proxy_tcp=$proxy_tcp,
        folder=Path($folder),
        hub_api_url=$hub_api_url,
        hub_token_file=Path($hub_token),
        proxy_token_file=Path($proxy_token),
        encrypt_key_file=Path($crypt_key),
        environment=lab_environment(facility),
    ),
)
''')


def gateway_part(wiring: Wiring) -> Part:
    """Write Dask Gateway's configuration and return how to start the server."""
    return Part(
        name="gateway",
        title="Dask Gateway",
        command=_command(_config(wiring)),
        ready=answers(wiring.ports.gateway, f"{PREFIX}/api/health"),
        address=wiring.gateway_url,
    )


def gateway_proxy_part(wiring: Wiring) -> Part:
    """Write Dask Gateway's configuration and return how to start its proxy.

    The program that Dask Gateway ships takes its token from an environment variable only, so
    Gateway's own starter sets it: of this one process, readable by the same system user only.
    """
    ports = wiring.ports

    async def ready() -> bool:
        return await accepts(ports.gateway_proxy_tcp) and await accepts(ports.gateway_proxy_http)

    return Part(
        name="gateway-proxy",
        title="Dask Gateway's proxy",
        command=_command(_config(wiring), "proxy"),
        ready=ready,
        address=wiring.gateway_proxy_url,
        # it asks the gateway for its routes, and ever more rarely while nobody answers
        after=("gateway",),
    )


def _command(config: Path, *subcommand: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "dask_gateway_server", *subcommand, "-f", str(config))


def _config(wiring: Wiring) -> Path:
    layout, ports = wiring.layout, wiring.ports
    values = {
        "facility_file": str(wiring.facility_file),
        "address": f"{LOOPBACK}:{ports.gateway}",
        "proxy_http": f"{LOOPBACK}:{ports.gateway_proxy_http}",
        "proxy_tcp": f"{LOOPBACK}:{ports.gateway_proxy_tcp}",
        "folder": str(layout.gateway),
        "hub_api_url": wiring.hub_api_url,
        "hub_token": str(layout.secret(secrets.GATEWAY_API_TOKEN)),
        "proxy_token": str(layout.secret(secrets.GATEWAY_PROXY_TOKEN)),
        "crypt_key": str(layout.secret(secrets.GATEWAY_CRYPT_KEY)),
    }
    path = layout.gateway / "dask_gateway_config.py"
    write_atomically(path, CONFIG.substitute({name: repr(each) for name, each in values.items()}))
    return path
