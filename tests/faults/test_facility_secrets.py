"""Nothing secret in logs, arguments, environments, pages or users' folders of a real facility."""

from __future__ import annotations

import base64
import json
import re
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.fernet import Fernet

from af_hub.embedded import secrets

if TYPE_CHECKING:
    from testbed.facility import Facility, User

pytestmark = pytest.mark.faults

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


def planted(facility: Facility, user: User) -> dict[str, str]:
    """Return every secret that is alive, by name."""
    found = {
        name: secrets.read_secret(facility.layout, name).reveal()
        for name in secrets.NAMES
        if name not in PUBLIC_TO_ITS_PROCESS
    }
    state = auth_state(facility, user.name)
    for name in ("access_token", "refresh_token", "id_token"):
        # the last part of a JWT is its signature: unlike the others it is unique
        found[name] = state[name].rstrip(".").rpartition(".")[2]
        assert len(found[name]) >= 20, name
    return found


def test_no_secret_is_seen_when_a_lab_is_running(facility: Facility) -> None:
    alice = facility.log_in("alice")
    alice.start_server()
    assert alice.lab("af/status").json["tokens"][0]["state"] == "valid"
    assert alice.lab("af/storage/demo/list?path=/cms").status == 200

    places = {"logs": facility.logs(), "output": facility.text()}
    for pid in facility.processes:
        for kind in ("environ", "cmdline"):
            places[f"{kind} of {pid}"] = Path(f"/proc/{pid}/{kind}").read_text(errors="replace")
    for page in ("hub/home", "hub/spawn", "hub/token", "hub/api/user"):
        answer = alice.browser.follow(alice.browser.send(f"{facility.base_url}/{page}"))
        places[page] = answer.text
    for path in (facility.layout.users / "alice").rglob("*"):
        if path.is_file():
            places[str(path)] = path.read_text(errors="replace")

    assert any("AF_INSTANCE" in text for text in places.values())
    for name, value in planted(facility, alice).items():
        seen = [place for place, text in places.items() if value in text]
        assert seen == [], f"{name} is in {seen}"
    for place, text in places.items():
        assert not re.search(r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.", text), f"a JWT is in {place}"


def test_files_are_closed_to_others_when_they_hold_secrets(facility: Facility) -> None:
    assert facility.data.stat().st_mode & 0o777 == 0o700
    layout = facility.layout
    sensitive = [*layout.secrets.iterdir(), layout.ca_key, layout.server_key]
    sensitive += [*layout.logs.iterdir(), *layout.hub.glob("*.py"), *layout.gateway.glob("*.py")]
    for path in sensitive:
        assert path.stat().st_mode & 0o077 == 0, path
