"""A hub and its development IAM whose time a test moves on: hours of a session in seconds.

Both are the real processes. The IAM has a switch for its clock; in the hub the modules that look
at the time (the authenticator's, and JupyterHub's own age of logins) get a ``time`` that is ahead
of the machine's by what a file says.
"""

from __future__ import annotations

import asyncio
import os
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from testbed.iam_hub import Hub, start_hub

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from af_hub.embedded.iam.switches import Fault
    from testbed.iam import Browser

CLOCK = """
import mmap, os, signal, struct, sys, time, types
import jupyterhub.handlers.base
import af_hub.iam.authenticator
from af_hub.iam.tokens import TokenEndpoint

root = Path(given["root"])
(root / "ahead").touch()
if not (root / "ahead").stat().st_size:
    (root / "ahead").write_bytes(bytes(8))
with (root / "ahead").open("rb") as file:
    ahead = mmap.mmap(file.fileno(), 8, prot=mmap.PROT_READ)

class Ahead(types.ModuleType):
    '''The module time, ahead by what the file says.'''
    def __getattr__(self, name): return getattr(time, name)
    def time(self): return time.time() + struct.unpack("d", ahead)[0]
    def monotonic(self): return time.monotonic() + struct.unpack("d", ahead)[0]

shown = Ahead("time")
for name, module in list(sys.modules.items()):
    if name.startswith("af_hub.iam") or name == "jupyterhub.handlers.base":
        if getattr(module, "time", None) is time:
            module.time = shown

# a file of the hub's own, so that a test can spoil it
secret = root / "client-secret"
if not secret.exists():
    secret.write_bytes(Path(given["authenticator"]["client_secret_file"]).read_bytes())
c.IAMAuthenticator.client_secret_file = str(secret)

asked = TokenEndpoint.refresh
async def refresh(self, *args, **kwargs):
    '''Dies between the identity provider's answer and the database where a file asks for it.'''
    answer = await asked(self, *args, **kwargs)
    if (root / "die").exists():
        (root / "die").unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    return answer
TokenEndpoint.refresh = refresh
"""
"""Lines for the hub's ``config.py``."""


@dataclass
class ClockHub(Hub):
    """A hub with a clock."""

    ahead: float = 0.0

    def later(self, seconds: float, *faults: Fault, **switches: Any) -> None:
        """Move time on in both processes, and set the identity provider's switches."""
        self.ahead += seconds
        self.iam.switch(*faults, skew_seconds=self.ahead, **switches)
        with (self.root / "ahead").open("r+b") as file:
            os.pwrite(file.fileno(), struct.pack("d", self.ahead), 0)

    def set_client(self, **settings: Any) -> None:
        """Change the hub's client at the identity provider, which is restarted if need be."""
        config = self.iam.config
        client = config.clients[0].model_copy(update=settings)
        if client == config.clients[0] and self.iam.process.poll() is None:
            return
        self.iam.stop()
        self.iam.config = config.model_copy(update={"clients": (client, *config.clients[1:])})
        self.iam.start()

    def crash(self) -> None:
        """Kill the hub, whose servers live on, and start it again on the same database."""
        self.process.kill()
        self.process.wait()
        self.start()

    def refreshes(self) -> int:
        """Return the number of refresh calls since `IAM.forget_calls`."""
        return len(self.iam.calls("token", grant="refresh_token"))

    def change(self, username: str, **changes: Any) -> None:
        """Change an account."""
        store = self.iam.people()
        person = store.person(username=username)
        assert person is not None
        store.save_person(replace(person, **changes))
        store.close()

    def user(self, token: str) -> int:
        """Ask the hub who a token belongs to, as a server does for each visitor."""
        answer = self.iam.browser().send(
            f"{self.url}/hub/api/user", headers={"Authorization": f"token {token}"}
        )
        return answer.status


def headers_of(browser: Browser) -> dict[str, str]:
    """Return the headers with which a page of the hub calls the hub."""
    cookies = {cookie.name: cookie.value or "" for cookie in browser.jar}
    return {
        "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
        "X-XSRFToken": cookies.get("_xsrf", ""),
        "Sec-Fetch-Mode": "cors",
    }


async def get_all(
    url: str, headers: Sequence[dict[str, str]], *, at_once: int = 200
) -> list[tuple[int, str]]:
    """Get an address once with each of the headers; returns status and target of redirection."""
    client = SimpleAsyncHTTPClient(force_instance=True, max_clients=at_once)

    async def one(header: dict[str, str]) -> tuple[int, str]:
        answer = await client.fetch(
            url,
            headers=header,
            raise_error=False,
            follow_redirects=False,
            connect_timeout=120,
            request_timeout=120,
        )
        return answer.code, answer.headers.get("Location", "")

    try:
        return await asyncio.gather(*map(one, headers))
    finally:
        client.close()


@pytest.fixture(scope="session")
def clock_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClockHub]:
    """Give a hub whose time only goes on; tests leave accounts and client as they found them."""
    started = start_hub(
        tmp_path_factory.mktemp("clock-hub"), client={"access_token_seconds": 600}, more=CLOCK
    )
    hub = ClockHub(started.url, started.root, started.services, started.process, started.iam)
    yield hub
    hub.stop()
    hub.iam.stop()
