"""A real hub with Dask Gateway as its service: hub, both proxies and the gateway as processes.

It is the facility without IAM, storage and Labs: users log in by the hub's own token API, and the
hub's broker is replaced by one whose tokens live as long as a test wants (``token-lifetime`` in the
hub's folder) and which refuses on demand (``token-refused``).
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from af_hub.embedded import secrets
from af_hub.embedded.environment import part_environment
from af_hub.embedded.gateway import gateway_part, gateway_proxy_part
from af_hub.embedded.hub import hub_part
from af_hub.embedded.layout import Layout
from af_hub.embedded.proxy import proxy_folder, proxy_part
from af_hub.embedded.wiring import Ports, Wiring
from af_hub.facility import load
from testbed.dask_client import start_busy_client
from testbed.iam import free_ports
from testbed.require import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from af_hub.embedded.parts import Part

FACILITY = """
about: {{name: Test facility}}
identity:
  issuer: https://127.0.0.1:9/
  client_id: af-hub
  client_secret_file: secrets/hub-client-secret
  allowed_groups: ["/cms", "/atlas"]
  audiences:
    storage: {{audience: "https://127.0.0.1:9", scope: "storage.read:/store", method: exchange}}
  services: {{dask-gateway: {{audiences: [storage]}}}}
compute:
  gateway: {{address: "{address}", proxy_address: "{proxy}"}}
  quotas:
    user: {{clusters: 8}}
    groups: {{/atlas: {{workers: 2, cores: 3, memory: 4G}}}}
  types:
    - name: local
      title: This machine
      site: machine room
      backend: local
      worker: {{cores: {{default: 1, min: 1, max: 2}}, memory: {{default: 600M, min: 512M, max: 2G}}}}
      scale: {{default: 0, max: 4}}
      lifetime: {{idle: 30m, max: 24h}}
      token: {{audience: storage}}
    - name: cms-only
      title: For CMS
      backend: local
      allowed_groups: ["/cms"]
      lifetime: {{idle: 30m, max: 24h}}
    - name: brief
      title: Ends soon
      backend: local
      lifetime: {{idle: 30m, max: 3s}}
    - name: lazy
      title: Ends when idle
      backend: local
      lifetime: {{idle: 5s, max: 24h}}
      images:
        default: own
        choices: [{{name: own, title: Ours}}, {{name: lost, environment: /nowhere}}]
    - name: gpu
      title: With a GPU
      backend: local
      worker: {{gpus: {{default: 1, min: 0, max: 1}}}}
      scale: {{default: 0, max: 4}}
      local: {{gpus: [GPU-0f0f]}}
    - name: away
      title: Cannot be had
      backend: local
      images: {{default: lost, choices: [{{name: lost, title: Lost, environment: /nowhere}}]}}
    - name: mine
      title: In this Lab
      backend: in-lab
"""

HUB = """
import json, pathlib, time
from jupyterhub.apihandlers import APIHandler
from tornado import web

FOLDER = pathlib.Path({folder!r})

class Broker(APIHandler):
    def get(self, name):
        if "custom:af:token:dask-gateway" not in self.expanded_scopes:
            raise web.HTTPError(403)
        if (FOLDER / "token-refused").exists():
            self.set_status(403)
            self.finish({{"code": "login-over", "message": "Log in again."}})
            return
        life = float((FOLDER / "token-lifetime").read_text())
        now = time.time()
        self.finish({{"access_token": f"planted-token-{{name}}-{{now}}", "token_type": "Bearer",
                     "expires_at": now + life, "expires_in": life}})

c = get_config()
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.bind_url = {bind_url!r}
c.JupyterHub.hub_bind_url = {hub_url!r}
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = {proxy_api!r}
c.ConfigurableHTTPProxy.auth_token = {proxy_token!r}
c.JupyterHub.db_url = {database!r}
c.JupyterHub.cookie_secret_file = {cookie_secret!r}
c.JupyterHub.extra_handlers = [(r"/api/af/users/([^/]+)/token", Broker)]
c.JupyterHub.custom_scopes = {{"custom:af:token:dask-gateway": {{"description": "tokens"}}}}
c.JupyterHub.services = [
    {{"name": "dask-gateway", "url": {gateway_url!r}, "api_token": {gateway_token!r}}},
    {{"name": "tests", "api_token": {tests_token!r}, "admin": True}},
    {{"name": "metrics", "api_token": {metrics_token!r}}},
]
c.JupyterHub.load_groups = {{"/cms": {{"users": ["alice"]}}, "/atlas": {{"users": ["carol"]}}}}
own = ["access:services!service=dask-gateway"]
c.JupyterHub.load_roles = [
    {{"name": "user", "scopes": ["self", *own]}},
    {{"name": "tests", "scopes": ["admin:users", "tokens", *own], "services": ["tests"]}},
    {{"name": "metrics", "scopes": ["read:metrics"], "services": ["metrics"]}},
    {{"name": "broker", "scopes": ["custom:af:token:dask-gateway"], "services": ["dask-gateway"]}},
]
"""

TESTS = str(Path(__file__).parents[1])
"""Where programs find this package."""

TESTS_TOKEN = "only-for-tests-" + "0" * 32
METRICS_TOKEN = "only-for-metrics-" + "0" * 32


@dataclass
class Stream:
    """Server-sent events of one connection; the connection's time-out ends a wait."""

    answer: Any

    def until(self, what: Callable[[Any], bool]) -> Any:
        """Read events until one is as described; return its data."""
        data, end = None, time.monotonic() + 60
        # comments come in silence: the loop turns
        for line in self.answer:
            if line.startswith(b"data: "):
                data = json.loads(line[6:])
                if what(data):
                    return data
            if time.monotonic() > end:
                break
        raise AssertionError(f"the stream ended, or has stayed at {data}")


@dataclass
class Testbed:
    """Running parts, and the ways to reach them."""

    __test__ = False

    wiring: Wiring
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Dask Gateway as a service of the hub."""
        return self.wiring.gateway_public_url

    def start(self, part: Part) -> None:
        """Start one part and wait until it is ready."""
        log = self.wiring.layout.log(part.name).open("ab")
        with log:
            process = subprocess.Popen(
                part.command,
                env=part_environment(self.wiring.instance, part.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes[part.name], self.parts[part.name] = process, part
        until(
            lambda: process.poll() is not None or asyncio.run(_ready(part)),
            part.start_timeout,
            f"{part.name} is ready",
        )
        if process.poll() is not None:
            pytest.fail(self.wiring.layout.log(part.name).read_text()[-3000:])

    def kill(self, name: str) -> None:
        """End one part as a crash would."""
        self.processes[name].send_signal(signal.SIGKILL)
        self.processes[name].wait()

    def restart(self, name: str) -> None:
        """Start a part that was killed."""
        self.start(self.parts[name])

    def end(self) -> None:
        """End everything, clusters as well."""
        for child in self.processes.values():
            child.kill()
            child.wait()
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get("AF_INSTANCE") == self.wiring.instance:
                    process.kill()

    def token(self, user: str) -> str:
        """Return a hub token of a user, who is made if needed."""
        if user not in self.tokens:
            api = f"{self.wiring.hub_api_url}/users"
            headers = {"Authorization": f"token {TESTS_TOKEN}"}
            send("POST", api, {"usernames": [user]}, headers, ok=(201, 409))
            _, answer = send("POST", f"{api}/{user}/tokens", {}, headers)
            self.tokens[user] = answer["token"]
        return self.tokens[user]

    def call(self, user: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Call the gateway's API as a user; return status and JSON."""
        headers = {"Authorization": f"jupyterhub {self.token(user)}"}
        return send(method, f"{self.address}/api/v1/{path}", body, headers, ok=None)

    def wait(self, user: str, cluster: str, what: Callable[[Any], bool], limit: float = 30) -> Any:
        """Wait until a cluster is as described; return it."""
        last: Any = None

        def look() -> bool:
            nonlocal last
            _, last = self.call(user, "GET", f"af/clusters/{cluster}")
            return what(last)

        try:
            until(look, limit, "the cluster is as wanted")
        except TimeoutError:
            pytest.fail(f"the cluster stays {last}\n{self.logs()}")
        return last

    def environment(self, user: str) -> dict[str, str]:
        """Return what a user's Lab has for Dask."""
        return {
            "JUPYTERHUB_API_TOKEN": self.token(user),
            "DASK_GATEWAY__ADDRESS": self.address,
            "DASK_GATEWAY__PROXY_ADDRESS": self.wiring.gateway_proxy_url,
        }

    @contextmanager
    def computing(
        self, user: str, cluster: str, tasks: int, seconds: float
    ) -> Iterator[subprocess.Popen[str]]:
        """Compute in a notebook's process; it is ended at the end."""
        home = self.wiring.layout.root
        busy = start_busy_client(self.environment(user), home, cluster, tasks, seconds)
        try:
            yield busy
        finally:
            busy.kill()
            busy.communicate()

    @contextmanager
    def listening(self, user: str) -> Iterator[Stream]:
        """Listen to a user's events."""
        request = urllib.request.Request(
            f"{self.address}/api/v1/af/events",
            headers={"Authorization": f"jupyterhub {self.token(user)}"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=40) as answer:
            assert answer.headers["Content-Type"] == "text/event-stream"
            yield Stream(answer)

    def folder(self, cluster: str) -> Path:
        """Return the folder of a cluster."""
        return self.wiring.layout.gateway / "clusters" / cluster

    def cluster_processes(self, cluster: str) -> list[psutil.Process]:
        """Return all processes of a cluster."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get("DASK_GATEWAY_CLUSTER_NAME") == cluster:
                    found.append(process)
        return found

    def logs(self) -> str:
        """Return the end of the gateway's log."""
        return self.wiring.layout.log("gateway").read_text()[-3000:]


async def _ready(part: Part) -> bool:
    return await part.ready()


def until(what: Callable[[], bool], limit: float, name: str) -> None:
    """Wait until a condition holds.

    Raises
    ------
    TimeoutError
        It does not within `limit` seconds.
    """
    end = time.monotonic() + limit
    while not what():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {limit} s: {name}")
        time.sleep(0.03)


def send(
    method: str,
    url: str,
    body: Any,
    headers: dict[str, str],
    ok: tuple[int, ...] | None = (200, 201, 204),
) -> tuple[int, Any]:
    """Send JSON, return status and JSON."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=20) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            status, text = error.code, error.read()
    assert ok is None or status in ok, f"{method} {url}: {status} {text[:300]!r}"
    try:
        return status, json.loads(text or b"null")
    except ValueError:
        return status, text.decode("utf-8", "replace")


def _wiring(root: Path, types: str) -> Wiring:
    layout = Layout(root)
    layout.create()
    secrets.create_secrets(layout)
    names = Ports.__dataclass_fields__
    ports = Ports(**dict(zip(names, free_ports(len(names)), strict=True)))
    file = layout.facility_file
    file.write_text(
        FACILITY.format(
            address=f"http://127.0.0.1:{ports.public}/services/dask-gateway",
            proxy=f"gateway://127.0.0.1:{ports.gateway_proxy_tcp}",
        )
        + types
    )
    return Wiring(
        layout=layout,
        ports=ports,
        host="127.0.0.1",
        instance=f"test-{os.getpid()}-{ports.public}",
        facility=load(file),
        facility_file=file,
    )


def _hub(wiring: Wiring) -> Part:
    layout, ports = wiring.layout, wiring.ports

    def secret(name: str) -> str:
        return secrets.read_secret(layout, name).reveal()

    config = layout.hub / "test_config.py"
    (layout.hub / "token-lifetime").write_text("3600")
    config.write_text(
        HUB.format(
            folder=str(layout.hub),
            bind_url=wiring.public_url,
            hub_url=f"http://127.0.0.1:{ports.hub}",
            proxy_api=f"http://127.0.0.1:{ports.proxy_api}",
            proxy_token=secret(secrets.PROXY_TOKEN),
            database=f"sqlite:///{layout.hub}/hub.sqlite",
            cookie_secret=str(layout.secret(secrets.COOKIE_SECRET)),
            gateway_url=wiring.gateway_url,
            gateway_token=secret(secrets.GATEWAY_API_TOKEN),
            tests_token=TESTS_TOKEN,
            metrics_token=METRICS_TOKEN,
        )
    )
    # the real part's command and probe, with this configuration
    return replace(
        hub_part(wiring), command=(sys.executable, "-m", "jupyterhub", "--config", str(config))
    )


@contextmanager
def running(root: Path, *, types: str = "", gateway: str = "") -> Iterator[Testbed]:
    """Run the testbed below a folder; nothing of it is left afterwards.

    Parameters
    ----------
    root
        The folder.
    types
        Further cluster types, YAML to stand behind those of `FACILITY`.
    gateway
        Further lines of the gateway's configuration file; they can import this package.
    """
    wiring = _wiring(root, types)
    bed = Testbed(wiring)
    # a hub that starts waits up to 30 s for the services that it is told of
    parts = [proxy_part(wiring), gateway_part(wiring), _hub(wiring), gateway_proxy_part(wiring)]
    with (wiring.layout.gateway / "dask_gateway_config.py").open("a") as config:
        config.write(f"import sys\nsys.path.insert(0, {TESTS!r})\n{gateway}" if gateway else "")
    try:
        for part in parts:
            bed.start(part)
        yield bed
    finally:
        bed.end()


@pytest.fixture(scope="session")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    """Give the running testbed."""
    require("proxy", proxy_folder().exists(), "configurable-http-proxy is not set up: make setup")
    with running(tmp_path_factory.mktemp("gateway")) as bed:
        yield bed
