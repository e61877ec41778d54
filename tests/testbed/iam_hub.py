"""A real JupyterHub with `IAMAuthenticator` against a real development IAM, without a proxy."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
from dataclasses import dataclass, field
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from af_hub.embedded.files import write_atomically
from testbed import small_server
from testbed.iam import IAM, Answer, Browser, free_ports, start_iam

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STORAGE = "https://127.0.0.1:8444"
STORAGE_SCOPE = "storage.read:/store/cms storage.read:/store/atlas storage.read:/store/open"

_CONFIG = """
import json
import logging
from pathlib import Path
from jupyterhub.handlers import BaseHandler
from jupyterhub.proxy import Proxy
from jupyterhub.spawner import SimpleLocalProcessSpawner
from af_hub.iam.scopes import custom_scopes, roles
from af_hub.logouts import listen

given = json.loads(Path({settings!r}).read_text())

class NoProxy(Proxy):
    '''The tests talk to the hub's own port.'''
    should_start = False
    async def add_route(self, routespec, target, data): pass
    async def delete_route(self, routespec): pass
    async def get_all_routes(self): return {{}}

class Server(SimpleLocalProcessSpawner):
    '''A process that answers as a server does and leaves its token where the test finds it.'''
    interrupt_timeout = term_timeout = kill_timeout = 1  # a restarted hub's Labs may be zombies
    home_dir_template = given["homes"] + "/{{username}}"
    cmd = given["server"]

class Extra(BaseHandler):
    '''A route of somebody else, as `af_hub.configure` adds one.'''
    def get(self): self.finish("extra route")

def left(user):
    '''Remember who has logged out, as open pages want to know.'''
    with Path(given["root"], "left").open("a") as file:
        print(user, file=file)

settings = {{}}
listen(settings, left)
c.JupyterHub.tornado_settings = settings
c.IAMAuthenticator.extra_routes = [(r"/api/af/extra", Extra)]
c.JupyterHub.authenticator_class = "af-iam"
c.JupyterHub.spawner_class = Server
c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.bind_url = given["url"] + "/"
c.JupyterHub.hub_bind_url = given["url"]
c.JupyterHub.db_url = "sqlite:///" + given["root"] + "/hub.sqlite"
c.JupyterHub.cookie_secret_file = given["root"] + "/cookie-secret"
c.JupyterHub.log_level = "DEBUG"
c.EventLogger.handlers = [logging.FileHandler(given["root"] + "/events.jsonl")]
c.JupyterHub.services = [
    {{"name": name, "api_token": token}} for name, token in given["services"].items()
]
c.JupyterHub.custom_scopes = custom_scopes(given["services"])
c.JupyterHub.load_roles = roles(given["services"])
c.Spawner.consecutive_failure_limit = 5
# who visits a shared server gets a token with the broker's scope; it must not be enough
c.Spawner.oauth_client_allowed_scopes = ["custom:af:token!user"]
c.CryptKeeper.keys = [bytes.fromhex(given["crypt_key"])]
for name, value in given["authenticator"].items():
    setattr(c.IAMAuthenticator, name, value)
"""


@dataclass
class PlainHub:
    """A hub of any identity provider, and what tests need to talk to it."""

    url: str
    root: Path
    services: dict[str, str] = field(repr=False)
    process: subprocess.Popen[bytes]
    more_environment: dict[str, str] = field(default_factory=dict, kw_only=True)
    """For its process, beside what every hub gets."""

    @property
    def log(self) -> str:
        """Everything that the hub has written."""
        return (self.root / "hub.log").read_text(encoding="utf-8")

    def start_server(self, browser: Browser, username: str) -> str:
        """Start a user's server over REST as the browser; returns the server's API token."""
        answer = self.api(browser, f"users/{username}/server", "POST")
        assert answer.status in {201, 202}, answer.text
        deadline = time.monotonic() + 30
        while not self.api(browser, f"users/{username}").json["servers"].get("", {}).get("ready"):
            assert time.monotonic() < deadline, self.log[-3000:]
            time.sleep(0.1)
        return str(self.environment(username)["JUPYTERHUB_API_TOKEN"])

    def stop_server(self, browser: Browser, username: str) -> None:
        """Stop a user's server and wait until it is gone."""
        answer = self.api(browser, f"users/{username}/server", "DELETE")
        assert answer.status in {202, 204}, answer.text
        deadline = time.monotonic() + 30
        while self.api(browser, f"users/{username}").json["servers"]:
            assert time.monotonic() < deadline, self.log[-3000:]
            time.sleep(0.1)

    def environment(self, username: str) -> dict[str, str]:
        """Return the environment of a user's server process."""
        path = self.root / "homes" / username / "environment.json"
        found: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        return found

    def api(self, browser: Browser, path: str, method: str = "GET") -> Answer:
        """Call the hub's REST API with the browser's cookies."""
        xsrf = next((c.value for c in browser.jar if c.name == "_xsrf"), "") or ""
        return browser.send(
            f"{self.url}/hub/api/{path}",
            method=method,
            headers={"X-XSRFToken": xsrf, "Sec-Fetch-Mode": "cors"},
        )

    def ask(self, path: str, token: str) -> Answer:
        """Call an endpoint below ``/hub/api/af/`` with a hub token."""
        return Browser().send(
            f"{self.url}/hub/api/af/{path}", headers={"Authorization": f"token {token}"}
        )

    def stop(self) -> None:
        """Stop the hub."""
        self.process.terminate()
        self.process.wait(60)

    def start(self) -> None:
        """Start it (again) on the same database."""
        names = ("PATH", "HOME", "LANG", "PYTHONPATH")
        environment = {name: os.environ[name] for name in names if name in os.environ}
        with (self.root / "hub.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jupyterhub", "-f", str(self.root / "config.py")],
                stdout=log,
                stderr=log,
                cwd=self.root,
                env=environment | {"PYTHONWARNINGS": "default"} | self.more_environment,
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                if Browser().send(f"{self.url}/hub/api").status == 200:
                    return
            except urllib.error.URLError:
                pass
            assert self.process.poll() is None, self.log[-5000:]
            assert time.monotonic() < deadline, self.log[-5000:]
            time.sleep(0.1)


@dataclass
class Hub(PlainHub):
    """A hub with a development IAM."""

    iam: IAM

    def log_in(self, username: str) -> tuple[Browser, Answer]:
        """Log in as a browser would; returns it and the page where the login ended."""
        browser = self.iam.browser()
        page = browser.follow(browser.send(f"{self.url}/hub/oauth_login?next=%2Fhub%2Fhome"))
        return browser, browser.follow(browser.log_in(page, username))


def write_config(
    root: Path, url: str, authenticator: dict[str, Any], *, more: str = ""
) -> dict[str, str]:
    """Write a hub's configuration below `root`; returns the tokens of its services.

    Parameters
    ----------
    root
        Folder of the hub.
    url
        Its address.
    authenticator
        Traits of the authenticator.
    more
        Further lines of ``config.py``.
    """
    services = {name: secrets.token_hex(16) for name in ("dask-gateway", "other")}
    (root / "homes").mkdir()
    settings = {
        "url": url,
        "root": str(root),
        "homes": str(root / "homes"),
        "server": small_server.COMMAND,
        "services": services,
        "crypt_key": secrets.token_hex(32),
        "authenticator": authenticator,
    }
    write_atomically(root / "settings.json", json.dumps(settings))
    config = dedent(_CONFIG).format(settings=str(root / "settings.json"))
    write_atomically(root / "config.py", config + dedent(more))
    return services


def start_hub(
    root: Path,
    *,
    client: dict[str, Any] | None = None,
    more: str = "",
    more_environment: dict[str, str] | None = None,
    **traits: Any,
) -> Hub:
    """Start a hub and its identity provider below `root`; the caller stops both."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    iam = start_iam(root / "iam", callbacks=(f"{url}/hub/oauth_callback",), **(client or {}))
    services = write_config(
        root,
        url,
        {
            "issuer": iam.issuer,
            "client_id": iam.client.client_id,
            "client_secret_file": str(iam.client.secret_file),
            "ca_file": str(iam.layout.ca_bundle),
            "token_profile": "wlcg",
            "allowed_groups": ["/cms", "/cms/**", "/atlas"],
            "admin_groups": ["/cms/af-admins"],
            "token_audiences": {
                "storage": {"audience": STORAGE, "scope": STORAGE_SCOPE},
                "other": {"audience": "https://other.example", "scope": "storage.read:/store/open"},
            },
            "token_services": {"dask-gateway": {"audiences": ["storage"]}},
        }
        | traits,
        more=more,
    )
    hub = Hub(url, root, services, iam.process, iam, more_environment=more_environment or {})
    hub.start()
    return hub


@pytest.fixture(scope="session")
def iam_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """Give a hub with its own identity provider; tests leave both as they found them."""
    hub = start_hub(tmp_path_factory.mktemp("iam-hub"))
    yield hub
    hub.stop()
    hub.iam.stop()
