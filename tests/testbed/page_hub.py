"""A hub for browsers: a rich catalogue, the demo's groups, and a machine larger than this one.

The product's spawner, policy, pages and streams are real. Two things stand in for what a test
machine has not: eight A100 (`Machine`, which on a real machine is read from the driver), and a
program that answers as a Lab does.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from af_hub.embedded.proxy import proxy_folder
from testbed import small_server
from testbed.hub_config import TOKEN, facility_lines, write_config
from testbed.hub_process import PATIENCE, HubProcess
from testbed.iam import free_ports
from testbed.require import require

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

GPUS = 8

GROUPS = {
    "/cms": ["alice", "bob", "dora"],
    "/cms/uscms": ["alice", *(f"user{number}" for number in range(1, 10))],
    "/cms/af-admins": ["dora"],
    "/atlas": ["carol"],
}
"""Those of the demo's users, and nine more who may have a GPU. Eve is in none."""

FACILITY = """
about: {name: Demo analysis facility}
identity: {issuer: https://iam.example.org/, client_id: hub, client_secret_env: HOME}
profiles:
  - name: small
    title: Small
    description: One core for notebooks, plots and small files.
    default: true
    cpu: 1
    ram: 2G
    max_lifetime: 7d
    allowed_groups: [/cms, /cms/**, /atlas]
  - name: analysis
    title: Analysis
    description: Choose cores and memory for a larger analysis.
    cpu: {choices: [1, 2, 4, 8], default: 2}
    ram: {min: 4G, max: 64G, step: 4G, default: 16G}
    image:
      choices:
        - {name: coffea, title: Coffea 2026.9, image: "registry.example.org/coffea:2026.9"}
        - {name: root, title: ROOT 6.36, image: "registry.example.org/root:6.36"}
      own: {patterns: ['registry\\.example\\.org/cms/[a-z0-9-]+:[a-z0-9.]+']}
    volumes: [{kind: cvmfs}]
    max_lifetime: 7d
    allowed_groups: [/cms, /cms/**]
  - name: gpu
    title: Machine learning
    description: PyTorch and JAX with CUDA, for members of /cms/uscms.
    cpu: {choices: [4, 8, 16]}
    ram: {choices: [32G, 64G, 128G]}
    gpu: {counts: [1, 2, 4], product: NVIDIA A100}
    options:
      - name: release
        title: Software
        choices:
          - {name: stable, title: stable, description: What the papers used.}
          - {name: next, title: next, description: Changes every week.}
    max_lifetime: 12h
    allowed_groups: [/cms/uscms]
  - name: mig
    title: Small GPU
    description: A part of an H100, for trying things out.
    cpu: 2
    ram: 8G
    gpu: {counts: [1], product: NVIDIA H100}
    max_lifetime: 4h
    allowed_groups: [/cms/uscms]
limits:
  - {per: user, servers: 2, gpus: 4}
  - {groups: [/cms/uscms], per: group, gpus: 8}
  - {groups: [/cms], per: group, ram: 256G}
  - {per: total, servers: 100}
"""

_LARGE_MACHINE = """
from af_hub.spawner.local.spawner import LocalSpawner
from af_hub.spawner.local.resources import GpuDevice, Machine

class LargeMachine:
    '''What the driver of a larger machine would say.'''
    async def look(self):
        gpus = tuple(GpuDevice(f"GPU-{{number:04x}}", "NVIDIA A100") for number in range({gpus}))
        return Machine(tuple(range(64)), 256 * 1024**3, gpus)

class Spawner(LocalSpawner):
    machine = LargeMachine()
    def make_preexec_fn(self, name): return None  # this machine has not so many cores

c.JupyterHub.spawner_class = Spawner
c.LocalSpawner.home_root = {root!r} + "/users"
c.LocalSpawner.examples_dir = ""
c.LocalSpawner.runtime_root = {root!r} + "/runtime"
if {cmd!r}:
    c.LocalSpawner.cmd = {cmd!r}
c.LocalSpawner.term_timeout = 1
"""

_GROUPS = """
c.JupyterHub.load_groups = {groups!r}
"""

_PROXY = """
c.JupyterHub.proxy_class = "jupyterhub.proxy.ConfigurableHTTPProxy"
c.ConfigurableHTTPProxy.command = {command!r}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api_port}"
c.ConfigurableHTTPProxy.pid_file = {root!r} + "/proxy.pid"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{hub_port}"
c.Spawner.poll_interval = 1
"""


class PageHub(HubProcess):
    """A running hub."""

    def api(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Ask the hub's API as a service; return status and JSON."""
        request = urllib.request.Request(
            f"{self.url}/hub/api{path}",
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"token {TOKEN}", "Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read().decode()
                return answer.status, json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read().decode())

    def move(self, user: str, group: str, away_from: str = "") -> None:
        """Put somebody of no group into one, or from one into another."""
        self.api("POST", f"/users/{urllib.parse.quote(user, safe='')}")  # who may be there already
        changes = [("POST", group), *([("DELETE", away_from)] if away_from else [])]
        for method, name in changes:
            place = f"/groups/{urllib.parse.quote(name, safe='')}/users"
            status, answer = self.api(method, place, {"users": [user]})
            assert status == 200, answer

    def take(self, user: str, **options: Any) -> None:
        """Start a user's server and wait until it runs."""
        path = f"/users/{urllib.parse.quote(user, safe='')}/server"
        status, answer = self.api("POST", path, {"user_options": options})
        assert status in {201, 202}, answer
        self.until(user, lambda server: bool(server and server["ready"]))

    def until(self, user: str, condition: Any) -> dict[str, Any]:
        """Wait until a condition holds for what the hub knows of a user's server."""
        deadline = time.monotonic() + PATIENCE
        while True:
            _, model = self.api("GET", f"/users/{urllib.parse.quote(user, safe='')}")
            server: dict[str, Any] = model["servers"].get("")
            if condition(server):
                return server
            assert time.monotonic() < deadline, self.log
            time.sleep(0.1)

    def release(self) -> None:
        """Stop all servers."""
        _, users = self.api("GET", "/users?state=active")
        for user in users:
            self.api("DELETE", f"/users/{urllib.parse.quote(user['name'], safe='')}/server")
        for user in users:
            self.until(user["name"], lambda server: server is None)

    def forget(self) -> None:
        """Forget what everybody chose last; who has never started anything has nothing to forget."""
        for user in {user for users in GROUPS.values() for user in users}:
            self.api("PATCH", f"/users/{user}/servers/", {"user_options": {}})


@pytest.fixture(scope="session")
def page_hub_running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageHub]:
    """Start one hub for all tests of its pages."""
    root = tmp_path_factory.mktemp("page-hub")
    hub = prepare(root)
    try:
        hub.start()
        yield hub
        hub.release()
    finally:
        hub.stop()


@pytest.fixture
def page_hub(page_hub_running: PageHub) -> Iterator[PageHub]:
    """Give a hub on which nothing runs and nobody has a last choice."""
    page_hub_running.forget()
    yield page_hub_running
    page_hub_running.release()


def prepare(
    root: Path,
    *,
    facility: str = FACILITY,
    groups: dict[str, list[str]] | None = None,
    spawner: tuple[str, str] | None = None,
    labs: bool = False,
    environment: Mapping[str, str] | None = None,
) -> PageHub:
    """Write the configuration of a hub into a folder.

    Parameters
    ----------
    root
        The folder.
    facility
        Text of the facility file.
    groups
        Members of the groups; None: `GROUPS`.
    spawner
        Kind of the spawner and further lines of configuration; None: Labs of this machine, as if it
        were a large one.
    labs
        Start JupyterLab behind a real proxy, in place of a program that answers as a Lab does; only
        where `spawner` is None.
    environment
        Further variables of the hub's environment.
    """
    public, hub_port, api_port = free_ports(3)
    url = f"http://127.0.0.1:{public}"
    members = GROUPS if groups is None else groups
    more = _GROUPS.format(groups={name: {"users": users} for name, users in members.items()})
    cmd = small_server.COMMAND
    if labs:
        require(
            "proxy", proxy_folder().exists(), "configurable-http-proxy is not set up: make setup"
        )
        program = "node_modules/configurable-http-proxy/bin/configurable-http-proxy"
        command = [shutil.which("node") or "node", str(proxy_folder() / program)]
        ports = {"hub_port": hub_port, "api_port": api_port}
        more, cmd = more + _PROXY.format(command=command, root=str(root), **ports), []
    large = _LARGE_MACHINE.format(root=str(root), gpus=GPUS, cmd=cmd)
    kind, lines = spawner or ("af-local", large)
    write_config(root, url, facility_lines(root, facility, kind), lines + more)
    variables = {**os.environ, "AF_INSTANCE": "page-hub-test", **(environment or {})}
    return PageHub(root, url, variables)
