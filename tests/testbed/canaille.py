"""A real hub whose identity provider is Canaille, which we did not write.

The hub's client is registered in it over the network (RFC 7591), people log in by its own pages.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from af_hub.embedded.files import write_atomically
from af_hub.embedded.layout import Layout
from af_hub.embedded.pki import ensure_pki
from testbed.canaille_server import ServerSettings
from testbed.iam import Answer, Browser, free_ports
from testbed.iam_hub import PlainHub, write_config

if TYPE_CHECKING:
    from collections.abc import Iterator

PEOPLE = {
    "alice": ["cms", "cms/uscms"],
    "bob": ["atlas", "cms"],
    "carol": ["cms"],
    "dora": ["cms/admins"],
    "eve": [],
}
"""Who there is, and the groups of each. Dora may lock accounts; bob leaves, carol is locked out."""

PATIENCE = 60.0
"""Seconds for a start; it takes three."""

_CSRF = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')


@dataclass
class Canaille:
    """A running Canaille.

    Parameters
    ----------
    layout
        Where its certificate lies.
    settings
        What it was started with.
    process
        The server.
    client
        What it answered to the hub's registration.
    """

    layout: Layout
    settings: ServerSettings = field(repr=False)
    process: subprocess.Popen[bytes]
    client: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def url(self) -> str:
        """Its issuer: without a slash at its end."""
        return f"https://127.0.0.1:{self.settings.port}"

    @property
    def log(self) -> str:
        """Everything that the process has written."""
        return (self.layout.root / "canaille.log").read_text(encoding="utf-8")

    def register(self, callback: str) -> None:
        """Register the hub's client, and wait for the server before that."""
        body = {
            "client_name": "The hub",
            "client_uri": "https://hub.example",
            "redirect_uris": [callback],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "scope": "openid profile email groups",
            "token_endpoint_auth_method": "client_secret_basic",
        }
        request = urllib.request.Request(
            f"{self.url}/oauth/register",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        context = ssl.create_default_context(cafile=str(self.layout.ca_bundle))
        deadline = time.monotonic() + PATIENCE
        while not self.client:
            try:
                with urllib.request.urlopen(request, timeout=20, context=context) as answer:
                    self.client = json.load(answer)
            except urllib.error.URLError:
                assert self.process.poll() is None, self.log
                assert time.monotonic() < deadline, self.log
                time.sleep(0.05)

    def fill_in(self, browser: Browser, page: Answer, **form: str) -> Answer:
        """Send the form of one of its pages, and follow where that leads."""
        token = _CSRF.search(page.text)
        form |= {"csrf_token": token[1]} if token else {}
        # over https, Canaille wants to see where a form comes from
        return browser.follow(browser.send(page.url, form, headers={"Referer": page.url}))

    def log_in(self, browser: Browser, page: Answer, username: str) -> Answer:
        """Fill in its two pages of a login, and agree if it asks."""
        page = self.fill_in(browser, page, login=username)
        page = self.fill_in(browser, page, password=self.settings.password)
        if "/oauth/authorize" in page.url:
            page = self.fill_in(browser, page, answer="accept")
        return page

    def leave(self, username: str, group: str) -> None:
        """Take somebody out of a group, as that person may."""
        browser = self._browser(username)
        page = browser.send(f"{self.url}/profile/{username}")  # any page with a form will do
        page = self.fill_in(browser, replace(page, url=f"{self.url}/groups/{group}/leave"))
        assert (page.status, page.url) == (200, f"{self.url}/groups/"), page.text

    def lock(self, username: str) -> None:
        """Lock an account, as dora may."""
        browser = self._browser("dora")
        page = browser.send(f"{self.url}/profile/{username}/settings")
        page = self.fill_in(browser, page, action="lock-execute")
        assert "The account has been locked" in page.text

    def is_active(self, token: str) -> bool:
        """Tell what introspection says of a token."""
        pair = f"{self.client['client_id']}:{self.client['client_secret']}"
        answer = Browser(self.layout.ca_bundle).send(
            f"{self.url}/oauth/introspect",
            {"token": token},
            headers={"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"},
        )
        return bool(answer.json["active"])

    def stop(self) -> None:
        """Stop the process."""
        self.process.terminate()
        assert self.process.wait(20) == 0, self.log

    def _browser(self, username: str) -> Browser:
        browser = Browser(self.layout.ca_bundle)
        page = self.log_in(browser, browser.send(f"{self.url}/login"), username)
        assert page.status == 200, page.text
        return browser


@dataclass
class CanailleHub(PlainHub):
    """A hub and its Canaille."""

    canaille: Canaille

    def log_in(self, username: str) -> tuple[Browser, Answer]:
        """Log in as a browser would; returns it and the page where the login ended."""
        browser = Browser(self.canaille.layout.ca_bundle)
        page = browser.follow(browser.send(f"{self.url}/hub/oauth_login?next=%2Fhub%2Fhome"))
        wait_for_another_second()
        return browser, self.canaille.log_in(browser, page, username)

    def api(self, browser: Browser, path: str, method: str = "GET") -> Answer:
        """Call the hub's REST interface; a start, which makes new tokens, in a second of its own."""
        if method == "POST":
            wait_for_another_second()
        return super().api(browser, path, method)

    def auth_state(self, browser: Browser, username: str) -> dict[str, Any]:
        """Return what the hub keeps of a user's login; for the browser of an admin."""
        state: dict[str, Any] = self.api(browser, f"users/{username}").json["auth_state"]
        return state


def wait_for_another_second() -> None:
    """Let Canaille make other tokens than before.

    Nothing in its access tokens is unique but the second they were made in: two of one person and
    one second are equal, and when the first is revoked the second is dead as well.
    """
    second = int(time.time())
    while int(time.time()) == second:
        time.sleep(0.02)


def start_canaille(root: Path) -> Canaille:
    """Start a Canaille with its files below `root`; the caller stops it."""
    layout = Layout(root)
    layout.create()
    ensure_pki(layout)
    settings = ServerSettings(
        port=free_ports(1)[0],
        certificate=str(layout.server_certificate),
        key=str(layout.server_key),
        secret=secrets.token_hex(32),
        password=secrets.token_hex(16),
        people=PEOPLE,
    )
    path = root / "settings.json"
    write_atomically(path, json.dumps(asdict(settings)))
    program = [sys.executable, "-m", "testbed.canaille_server", str(path)]
    with (root / "canaille.log").open("ab") as log:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig=TERM", *program],
            stdout=log,
            stderr=log,
            cwd=root,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[1])},
        )
    return Canaille(layout, settings, process)


@pytest.fixture(scope="module")
def canaille_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CanailleHub]:
    """Give a hub whose identity provider is Canaille."""
    root = tmp_path_factory.mktemp("canaille-hub")
    canaille = start_canaille(root / "canaille")
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    canaille.register(f"{url}/hub/oauth_callback")
    services = write_config(
        root,
        url,
        {
            "issuer": canaille.url,
            "client_id": canaille.client["client_id"],
            "client_secret": canaille.client["client_secret"],
            "ca_file": str(canaille.layout.ca_bundle),
            "basic_auth": True,
            "scope": ["openid", "profile", "email", "groups"],
            "allowed_groups": ["/cms", "/cms/**", "/atlas"],
            "admin_groups": ["/cms/admins"],
        },
    )
    hub = CanailleHub(url, root, services, canaille.process, canaille)
    hub.start()
    yield hub
    hub.stop()
    canaille.stop()
