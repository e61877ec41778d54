"""Both doors of a development IAM in the test's own process: for many requests in little time."""

from __future__ import annotations

import base64
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

from af_hub.embedded.files import write_atomically
from af_hub.embedded.iam.config import ClientConfig, IAMConfig
from af_hub.embedded.iam.login import login_app
from af_hub.embedded.iam.machine import machine_app
from af_hub.embedded.iam.people import DEMO_PASSWORD
from af_hub.embedded.iam.provider import Provider
from testbed.iam import CALLBACK

if TYPE_CHECKING:
    from pathlib import Path

    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

LOGIN_URL = "http://127.0.0.1:8080"
MACHINE_URL = "https://127.0.0.1:8443"


@dataclass(frozen=True)
class Doors:
    """A provider and its two applications; nothing listens anywhere."""

    provider: Provider
    login: Flask
    machine: Flask
    secret: str

    @classmethod
    def open(cls, root: Path, **client: Any) -> Doors:
        """Make a provider with its state below `root`, and the clients ``af-hub`` and ``other``."""
        secret = secrets.token_hex(32)
        write_atomically(root / "secret", secret)
        write_atomically(root / "other-secret", secrets.token_hex(32))
        config = IAMConfig(
            https_port=8443,
            login_port=8080,
            certificate=root / "none",
            key=root / "none",
            data=root / "iam",
            clients=(
                ClientConfig(
                    client_id="af-hub",
                    secret_file=root / "secret",
                    redirect_uris=(CALLBACK,),
                    **client,
                ),
                ClientConfig(
                    client_id="other", secret_file=root / "other-secret", redirect_uris=(CALLBACK,)
                ),
            ),
        )
        provider = Provider.build(config)
        return cls(provider, login_app(provider), machine_app(provider), secret)

    def close(self) -> None:
        """Close the database."""
        self.provider.store.close()

    def browser(self) -> FlaskClient:
        """Return a browser that has never been here."""
        return self.login.test_client()

    def post(self, path: str, *, client: str = "af-hub", **form: str) -> TestResponse:
        """Post a form to the machine door as a client."""
        config = next(c for c in self.provider.config.clients if c.client_id == client)
        basic = base64.b64encode(f"{client}:{config.secret()}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}"}
        with self.machine.test_client() as door:
            return door.post(path, base_url=MACHINE_URL, data=form, headers=headers)

    def code(self, username: str = "alice", **query: str) -> str:
        """Return the code of a complete login."""
        browser = self.browser()
        log_in(browser, username, authorize(**query))
        return code_of(browser.get(authorize(**query), base_url=LOGIN_URL))


def authorize(**more: str) -> str:
    """Return path and query of an authorization request."""
    query = {"response_type": "code", "client_id": "af-hub", "scope": "openid offline_access"}
    return f"/authorize?{urlencode(query | {'redirect_uri': CALLBACK} | more)}"


def code_of(answer: TestResponse) -> str:
    """Return the code that an answer sends to the callback."""
    assert answer.location.startswith(f"{CALLBACK}?"), answer.location
    return parse_qs(urlsplit(answer.location).query)["code"][0]


def form_field(answer: TestResponse) -> str:
    """Return the hidden field of a page's form."""
    found = re.search(r'name="form"\s+value="([^"]+)"', answer.text)
    assert found, answer.text
    return found[1]


def log_in(browser: FlaskClient, username: str = "alice", path: str = "/login") -> TestResponse:
    """Fill in the login page that `path` shows; returns the answer to the form."""
    field = form_field(browser.get(path, base_url=LOGIN_URL))
    form = {"form": field, "username": username, "password": DEMO_PASSWORD}
    return browser.post(path, base_url=LOGIN_URL, data=form)
