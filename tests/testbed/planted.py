"""The secrets of a facility and of a login, as tests search for them."""

from __future__ import annotations

import base64
import json
import sqlite3
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet

from af_hub.embedded import secrets

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.facility import Facility, User

PUBLIC_TO_ITS_PROCESS = {secrets.GATEWAY_PROXY_TOKEN}
"""Dask Gateway's proxy takes its token from its environment only; it opens nothing else."""


def auth_state(facility: Facility, name: str) -> dict[str, Any]:
    """Decrypt what the hub has stored about a login."""
    key = secrets.read_secret(facility.layout, secrets.CRYPT_KEY).reveal()
    with sqlite3.connect(facility.layout.hub / "jupyterhub.sqlite") as database:
        (blob,) = database.execute(
            "select encrypted_auth_state from users where name = ?", (name,)
        ).fetchone()
    fernet = Fernet(base64.urlsafe_b64encode(bytes.fromhex(key)))
    state: dict[str, Any] = json.loads(fernet.decrypt(blob))
    return state


def signature(token: str) -> str:
    """Return the last part of a JWT: unlike the others it is unique."""
    found = token.strip().rstrip(".").rpartition(".")[2]
    assert len(found) >= 20
    return found


def claims(token: str) -> dict[str, Any]:
    """Read a JWT without verifying it: the storage does that."""
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def planted(facility: Facility, user: User) -> dict[str, str]:
    """Return every secret of the facility and of a user's login, by name."""
    found = {
        name: secrets.read_secret(facility.layout, name).reveal()
        for name in secrets.NAMES
        if name not in PUBLIC_TO_ITS_PROCESS
    }
    state = auth_state(facility, user.name)
    for name in ("access_token", "refresh_token", "id_token"):
        found[name] = signature(state[name])
    return found


def text_of(path: Path) -> str:
    """Return what a file holds."""
    return path.read_text(errors="replace")
