"""A real JupyterHub with the profile catalogue and the local spawner; anybody may log in."""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import jupyterhub
import pytest_asyncio

from testbed import small_server
from testbed.hub_config import TOKEN, facility_lines, write_config
from testbed.hub_process import HubProcess
from testbed.iam import free_ports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

STRANGER = "profile-hub-stranger-0123456789ab"
"""API token of a service without any right."""

FACILITY = """
about:
  name: Profile hub
  notice: "Down on Monday <b>{user}</b>"
  support: mailto:help@example.org
identity:
  issuer: https://iam.example.org/
  client_id: hub
  client_secret_env: HOME
  audiences: {storage: {audience: "https://s", scope: "storage.read:/"}}
profiles:
  - name: small
    title: Small
    ram: 512M
    environment: {FROM_PROFILE: "{unescaped_username.__class__}"}
    denied_groups: [/none]
  - name: choice
    title: Choice
    cpu: {choices: [1, 1000]}
    ram: {choices: [512M, 1G]}
    denied_groups: [/none]
  - {name: members, title: For members, ram: 512M, allowed_groups: [/cms/uscms]}
  - {name: gpu, title: With GPU, gpu: {counts: [1], product: No such device}, denied_groups: [/none]}
  - {name: short, title: Short, ram: 512M, max_lifetime: 5, denied_groups: [/none]}
limits: [{per: total, servers: 500}]
storage:
  - {name: demo, title: Demo, url: "https://s/store", audience: storage}
"""

_MORE = """
groups = {{"/cms/uscms": "alice", "/cms": "bob", "/none": "zoe"}}
c.JupyterHub.load_groups = {{name: {{"users": [user]}} for name, user in groups.items()}}
c.JupyterHub.services.append({{"name": "stranger", "api_token": {stranger!r}}})
c.LocalSpawner.home_root = {root!r} + "/users"
c.LocalSpawner.examples_dir = {root!r} + "/examples"
c.LocalSpawner.runtime_root = {root!r} + "/runtime"
c.Spawner.consecutive_failure_limit = 5
c.Spawner.poll_interval = 1
if {cmd!r}:
    c.LocalSpawner.cmd = {cmd!r}
"""


@dataclass
class ProfileHub:
    """A running hub.

    Parameters
    ----------
    process
        Its process.
    http
        A client without cookies.
    """

    process: HubProcess
    http: aiohttp.ClientSession

    @property
    def root(self) -> Path:
        """Its folder."""
        return self.process.root

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return self.process.url

    @property
    def log(self) -> str:
        """Everything that it has logged."""
        return self.process.log

    async def start(self) -> None:
        """Start it and wait until it answers."""
        await asyncio.to_thread(self.process.start)

    async def stop(self) -> None:
        """Stop it; its Labs live on."""
        await asyncio.to_thread(self.process.stop)

    async def api(
        self, method: str, path: str, body: Any = None, *, token: str = TOKEN
    ) -> tuple[int, Any, str]:
        """Ask the hub's API; return status, JSON and the reason of a refusal."""
        if path.endswith("/server") and body and jupyterhub.version_info[0] < 6:
            # JupyterHub 5 takes the whole body as user_options
            body = body.get("user_options", body)
        async with self.http.request(
            method,
            f"{self.url}/hub/api{path}",
            json=body,
            headers={"Authorization": f"token {token}"} if token else {},
        ) as answer:
            text = await answer.text()
            content = await answer.json() if text and answer.status != 204 else None
            return answer.status, content, answer.headers.get("AF-Refusal", "")

    async def ready(self, user: str) -> dict[str, Any]:
        """Wait until a user's server is ready; return its model."""
        async with asyncio.timeout(60):
            while True:
                _, model, _ = await self.api("GET", f"/users/{user}")
                server = model["servers"].get("")
                assert server is not None, self.log
                if server["ready"]:
                    return dict(server)
                await asyncio.sleep(0.1)

    async def gone(self, user: str) -> None:
        """Wait until a user has no server."""
        async with asyncio.timeout(60):
            while True:
                _, model, _ = await self.api("GET", f"/users/{user}")
                if not model["servers"]:
                    return
                await asyncio.sleep(0.1)

    @contextlib.asynccontextmanager
    async def browser(self, user: str) -> AsyncIterator[aiohttp.ClientSession]:
        """Log a user in, with cookies."""
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(self.url, cookie_jar=jar) as session:
            await (await session.get("/hub/login")).read()
            form = {"username": user, "password": "x", "_xsrf": _xsrf(jar)}
            async with session.post("/hub/login", data=form, allow_redirects=False) as answer:
                assert answer.status == 302
            # the token for forms changes with the login
            await (await session.get("/hub/home")).read()
            yield session

    @staticmethod
    def xsrf(session: aiohttp.ClientSession) -> str:
        """Return the token that a form must carry."""
        return _xsrf(session.cookie_jar)


def environment_of(pid: int) -> dict[str, str]:
    """Read the environment that a process was started with."""
    raw = Path(f"/proc/{pid}/environ").read_text()
    return dict(item.split("=", 1) for item in raw.split("\0") if item)


def _xsrf(jar: aiohttp.abc.AbstractCookieJar) -> str:
    return next(cookie.value for cookie in jar if cookie.key == "_xsrf")


@contextlib.asynccontextmanager
async def running_hub(
    root: Path, *, labs: bool, facility: str = FACILITY, more: str = ""
) -> AsyncIterator[ProfileHub]:
    """Run a hub in a folder.

    Its users are alice (/cms/uscms), bob (/cms), zoe (/none), eve (no group) and, once she has logged
    in, dora (administrator).

    Parameters
    ----------
    root
        The folder.
    labs
        Start JupyterLab, as users get it, in place of a program that starts at once.
    facility
        The facility file.
    more
        Lines at the end of the hub's configuration.
    """
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    cmd = None if labs else small_server.COMMAND
    lines = _MORE.format(root=str(root), cmd=cmd, stranger=STRANGER)
    write_config(root, url, facility_lines(root, facility, "af-local"), f"{lines}\n{more}\n")
    (root / "examples").mkdir()
    (root / "examples" / "first.ipynb").write_text("{}")
    async with aiohttp.ClientSession() as http:
        variables = {**os.environ, "AF_INSTANCE": "profile-hub-test"}
        hub = ProfileHub(HubProcess(root, url, variables), http)
        try:
            await hub.start()
            await hub.api("POST", "/users", {"usernames": ["eve"]})
            yield hub
        finally:
            await hub.stop()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def profile_hub(tmp_path_factory: Any) -> AsyncIterator[ProfileHub]:
    """One hub for all tests of a module that need no real Lab."""
    async with running_hub(tmp_path_factory.mktemp("profile-hub"), labs=False) as hub:
        yield hub
