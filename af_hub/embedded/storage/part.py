"""How a facility on one machine starts its storage server."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from af_hub.embedded.files import write_atomically
from af_hub.embedded.parts import Part
from af_hub.embedded.probe import answers
from af_hub.embedded.storage.serve import StorageConfig
from af_hub.embedded.wiring import LOOPBACK

if TYPE_CHECKING:
    from af_hub.embedded.wiring import Wiring


def storage_config(wiring: Wiring) -> StorageConfig:
    """Return the configuration for a facility; issuer and audience are the facility file's."""
    layout, identity = wiring.layout, wiring.facility.identity
    door = next(
        door for door in wiring.facility.storage if door.url.startswith(f"{wiring.storage_url}/")
    )
    return StorageConfig(
        root=layout.store,
        host=LOOPBACK,
        port=wiring.ports.storage,
        certificate=layout.server_certificate,
        key=layout.server_key,
        issuer=identity.issuer,
        # the form without the slash is what IAM writes into access tokens
        token_issuer=identity.access_token_issuer or identity.issuer.rstrip("/"),
        audience=identity.audiences[door.audience].audience,
        ca_file=identity.ca_file,
    )


def storage_part(wiring: Wiring) -> Part:
    """Write the configuration and say how to start the process."""
    path = wiring.layout.storage / "config.json"
    write_atomically(path, storage_config(wiring).model_dump_json(indent=1) + "\n")
    return Part(
        name="storage",
        title="Storage",
        command=(sys.executable, "-m", "af_hub.embedded.storage", "--config", str(path)),
        # it refuses whoever has no token, and that is its sign of life
        ready=answers(wiring.ports.storage, "/store", code=401, ca=wiring.layout.ca_certificate),
        address=f"{wiring.storage_url}/store",
    )
