"""A real hub whose identity provider misbehaves as a test wants."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from af_hub.embedded.layout import Layout
from af_hub.embedded.pki import ensure_pki
from testbed.iam import Answer, Browser, free_ports
from testbed.iam_hub import PlainHub, write_config
from testbed.oidc_provider import AUDIENCE, CLIENT, OidcProvider

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FORGET = """
class Forget(BaseHandler):
    '''Become as a new process: no documents, no keys, no cool-downs.'''
    def get(self):
        for part in ("provider", "endpoint", "reader", "sessions", "broker"):
            self.authenticator.__dict__.pop(part, None)
        self.finish("forgotten")

import asyncio, gc, time
longest = [0.0, ""]
run = asyncio.Handle._run

def timed(self):
    began = time.thread_time()
    run(self)
    held = time.thread_time() - began
    if held > longest[0]:
        longest[:] = held, repr(self)

asyncio.Handle._run = timed

class Longest(BaseHandler):
    '''Tell for how long the event loop was held, and begin anew.'''
    def get(self):
        self.finish(json.dumps(longest))
        longest[:] = 0.0, ""

class Collect(BaseHandler):
    '''Tell for how long a full collection of the garbage holds the event loop.'''
    def get(self):
        began = time.thread_time()
        gc.collect()
        self.finish(json.dumps(time.thread_time() - began))

c.IAMAuthenticator.extra_routes.append((r"/api/af/collect", Collect))
c.IAMAuthenticator.extra_routes.append((r"/api/af/longest", Longest))
c.IAMAuthenticator.extra_routes.append((r"/api/af/forget", Forget))
"""

_CODE = re.compile(r"<code>([a-z-]+)</code>")


@dataclass
class OidcHub(PlainHub):
    """A hub and its provider."""

    provider: OidcProvider

    def browser(self) -> Browser:
        """Return a browser that has never been here."""
        return Browser(self.provider.layout.ca_bundle)

    def log_in(self, browser: Browser | None = None, query: str = "next=%2Fhub%2Fhome") -> Answer:
        """Log in as alice; returns the page where it ended."""
        browser = browser or self.browser()
        return browser.follow(browser.send(f"{self.url}/hub/oauth_login?{query}"))

    def outcome(self) -> str:
        """Log in; returns ``accepted`` or the code of the refusal."""
        page = self.log_in()
        if page.url == f"{self.url}/hub/home":
            return "accepted"
        assert page.status in {401, 403, 503}, page.text
        found = _CODE.search(page.text)
        assert found, page.text
        return found[1]

    def refreshed(self) -> str:
        """Use alice's login, which needs a refresh; returns ``accepted`` or the refusal's code."""
        answer = self.ask("users/alice/token?audience=storage", self.services["dask-gateway"])
        if answer.status == 200:
            return "accepted"
        assert answer.status in {401, 403, 503}, answer.text
        return str(answer.json["code"])

    def longest(self) -> tuple[float, str]:
        """Return the longest CPU time (s) that held the hub's event loop since the last call."""
        seconds, what = Browser().send(f"{self.url}/hub/api/af/longest").json
        return seconds, what

    def collection(self) -> float:
        """Return the CPU time (s) for which a full garbage collection holds the event loop."""
        seconds: float = Browser().send(f"{self.url}/hub/api/af/collect").json
        return seconds

    def reset(self) -> None:
        """Make provider and hub good and forgetful again."""
        self.provider.reset()
        assert Browser().send(f"{self.url}/hub/api/af/forget").text == "forgotten"


def start_provider(root: Path) -> OidcProvider:
    """Start a provider with its certificates below `root`; the caller stops it."""
    layout = Layout(root)
    layout.create()
    ensure_pki(layout)
    return OidcProvider(layout)


def start_oidc_hub(root: Path, **traits: Any) -> OidcHub:
    """Start a hub and its provider below `root`; the caller stops both.

    Parameters
    ----------
    root
        Empty folder.
    traits
        Of the authenticator.
    """
    provider = start_provider(root / "provider")
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    authenticator = {
        "issuer": provider.url,
        "client_id": CLIENT[0],
        "client_secret": CLIENT[1],
        "ca_file": str(provider.layout.ca_bundle),
        "token_audiences": {"storage": {"audience": AUDIENCE, "scope": "storage.read:/"}},
        "token_services": {"dask-gateway": {"audiences": ["storage"]}},
        "allowed_groups": ["/cms"],
        "basic_auth": True,
    }
    services = write_config(root, url, authenticator | traits, more=_FORGET)
    never = subprocess.Popen([sys.executable, "-c", ""])
    never.wait()
    hub = OidcHub(url, root, services, never, provider)
    hub.start()
    return hub


@pytest.fixture(scope="session")
def shared_oidc_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcHub]:
    """Give a hub that all tests share; take `oidc_hub` instead."""
    hub = start_oidc_hub(tmp_path_factory.mktemp("oidc-hub"))
    yield hub
    hub.stop()
    hub.provider.stop()


@pytest.fixture
def oidc_hub(shared_oidc_hub: OidcHub) -> OidcHub:
    """Give a hub whose provider behaves well until a test changes that."""
    shared_oidc_hub.reset()
    return shared_oidc_hub


@pytest.fixture(scope="session")
def shared_oidc_provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcProvider]:
    """Give a provider without a hub that all tests share; take `oidc_provider` instead."""
    provider = start_provider(tmp_path_factory.mktemp("oidc-provider"))
    yield provider
    provider.stop()


@pytest.fixture
def oidc_provider(shared_oidc_provider: OidcProvider) -> OidcProvider:
    """Give a provider without a hub that behaves well until a test changes that."""
    shared_oidc_provider.reset()
    return shared_oidc_provider
