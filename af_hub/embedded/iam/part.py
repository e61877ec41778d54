"""How a facility on one machine starts the development IAM."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from af_hub.embedded.files import write_atomically
from af_hub.embedded.iam.config import ClientConfig, IAMConfig
from af_hub.embedded.parts import Part
from af_hub.embedded.pki import ensure_pki
from af_hub.embedded.probe import accepts, status
from af_hub.embedded.secrets import CLIENT_SECRET
from af_hub.embedded.wiring import HERE, LOOPBACK

if TYPE_CHECKING:
    from af_hub.embedded.wiring import Wiring


def iam_config(wiring: Wiring) -> IAMConfig:
    """Return the configuration for a facility: one client, the hub."""
    layout, ports = wiring.layout, wiring.ports
    callback = "/hub/oauth_callback"
    # people type localhost, too; a browser then comes from there
    local = {f"http://localhost:{ports.public}"} if wiring.host == LOOPBACK else set()
    addresses = {wiring.public_url, *local}
    return IAMConfig(
        host=LOOPBACK,
        login_host="" if wiring.host in HERE else wiring.host,
        https_port=ports.iam_https,
        login_port=ports.iam_login,
        certificate=layout.server_certificate,
        key=layout.server_key,
        data=layout.iam,
        clients=(
            ClientConfig(
                client_id=wiring.facility.identity.client_id,
                secret_file=layout.secret(CLIENT_SECRET),
                redirect_uris=tuple(sorted(address + callback for address in addresses)),
            ),
        ),
    )


def iam_part(wiring: Wiring) -> Part:
    """Write the configuration, see to the certificates, and say how to start the process."""
    ensure_pki(wiring.layout)
    config = iam_config(wiring)
    path = wiring.layout.iam / "config.json"
    write_atomically(path, config.model_dump_json(indent=1) + "\n")

    async def ready() -> bool:
        machine = await status(
            wiring.ports.iam_https,
            "/.well-known/openid-configuration",
            ca=wiring.layout.ca_certificate,
        )
        return machine == 200 and await accepts(wiring.ports.iam_login, host=wiring.host)

    return Part(
        name="iam",
        title="Development IAM",
        command=(sys.executable, "-m", "af_hub.embedded.iam", "--config", str(path)),
        # Authlib takes http for 127.0.0.1 and localhost only; `run` has asked for consent to more
        environment={"AUTHLIB_INSECURE_TRANSPORT": "1"} if config.login_host else {},
        ready=ready,
        address=config.issuer,
    )
