"""A hub on this machine whose Labs are pods of the test cluster: for what many users do at once.

The pods are real, admitted, scheduled and started; what runs in them is the tests' probe, which
waits. One small server on this machine answers in their place, so that JupyterHub takes them for
Labs: five hundred starts need no five hundred Labs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web
from jupyterhub import __version__
from kubernetes_asyncio import client, config

from bench.kube_says_running import addresses, status
from testbed.hub_config import TOKEN, write_config
from testbed.hub_process import HubProcess
from testbed.iam import free_ports
from testbed.kube_labs import lab_lines
from testbed.profile_hub import ProfileHub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from testbed.kube.cluster import Cluster

_ROUTES = """
from af_hub.spawner.starts.handlers import STARTS as routes
"""

_MORE = """
c.JupyterHub.concurrent_spawn_limit = 0
c.Spawner.consecutive_failure_limit = 5
c.Spawner.poll_interval = 2
c.KubeSpawner.profiles = [
    {"name": "small", "title": "Small", "cpu": 1, "ram": "128M"},
    {"name": "gpu", "title": "GPU", "cpu": 1, "ram": "128M", "gpu": {"counts": [1, 2, 4]},
      "allowed_groups": ["/**"]},
]
"""


class KubeHub(ProfileHub):
    """A hub of `running_kube_hub`."""

    kube: Cluster
    namespace: str

    async def kill(self) -> None:
        """Kill it as a crash would."""
        await asyncio.to_thread(self.process.kill)

    async def add_users(self, names: Iterable[str], group: str) -> None:
        """Make users, all of one group."""
        users = list(names)
        status, _, _ = await self.api("POST", "/users", {"usernames": users})
        assert status == 201
        await self.api("POST", f"/groups/{group.replace('/', '%2F')}", {"users": users})

    async def ask(self, user: str, **options: object) -> tuple[int, str]:
        """Ask for a server; return the status and the reason of a refusal."""
        path = f"/users/{user}/server"
        status, _, reason = await self.api("POST", path, {"user_options": options})
        return status, reason

    async def settled(self, patience: float = 120) -> dict[str, bool]:
        """Wait until nothing starts or stops; tell of each server whether it is ready."""
        async with asyncio.timeout(patience):
            while True:
                there = await self.servers()
                if not any(server["pending"] for server in there.values()):
                    return {name: server["ready"] for name, server in there.items()}
                await asyncio.sleep(0.2)

    async def servers(self) -> dict[str, dict[str, Any]]:
        """List the servers that run, start or stop, by user; page by page."""
        found: dict[str, dict[str, Any]] = {}
        while True:
            query = f"state=active&limit=200&offset={len(found)}"
            _, users, _ = await self.api("GET", f"/users?{query}")
            found |= {user["name"]: user["servers"][""] for user in users if user["servers"]}
            if len(users) < 200:
                return found

    async def pods(self) -> list[str]:
        """List the names of the Labs' pods that are not over."""
        answer = await asyncio.to_thread(self.kube.get, "pods", "--namespace", self.namespace)
        return [
            pod["metadata"]["name"]
            for pod in answer["items"]
            if pod["status"]["phase"] not in {"Succeeded", "Failed"}
        ]

    async def until_ready(self, user: str, patience: float = 60) -> None:
        """Wait until a user's server is ready."""
        async with asyncio.timeout(patience):
            while True:
                server = (await self.servers()).get(user)
                if server is not None and server["ready"]:
                    return
                await asyncio.sleep(0.1)

    async def until_gone(self, user: str, patience: float = 60) -> None:
        """Wait until a user has no server."""
        async with asyncio.timeout(patience):
            while True:
                if user not in await self.servers():
                    return
                await asyncio.sleep(0.1)

    async def progress(self, user: str, word: str, patience: float = 60) -> str:
        """Read what the progress page tells about a start until it says a word."""
        headers = {"Authorization": f"token {TOKEN}"}
        heard = ""
        async with (
            asyncio.timeout(patience),
            self.http.get(
                f"{self.url}/hub/api/users/{user}/server/progress",
                headers=headers,
                timeout=aiohttp.ClientTimeout(),
            ) as answer,
        ):
            async for line in answer.content:
                heard += line.decode()
                if word in heard:
                    break
        return heard

    async def first_pod(self) -> None:
        """Wait until there is a pod."""
        async with asyncio.timeout(60):
            while True:
                if await self.pods():
                    return
                await asyncio.sleep(0.05)

    async def refusals(self) -> dict[str, int]:
        """Count refused starts by reason, as the hub's metrics do."""
        headers = {"Authorization": f"token {TOKEN}"}
        async with self.http.get(f"{self.url}/hub/metrics", headers=headers) as answer:
            text = await answer.text()
        found = {}
        for line in text.splitlines():
            if line.startswith("jupyterhub_server_spawn_duration_seconds_count{"):
                labels, _, value = line.rpartition(" ")
                reason = labels.partition('reason="')[2].partition('"')[0]
                status = labels.partition('status="')[2].partition('"')[0]
                found[reason or status] = int(float(value))
        return {name: number for name, number in found.items() if number}


@contextlib.asynccontextmanager
async def says_running(kube: Cluster, namespace: str) -> AsyncIterator[None]:
    """Say of each pod that it runs, where nobody schedules them."""
    configuration = client.Configuration()
    await config.load_kube_config(str(kube.kubeconfig), client_configuration=configuration)
    async with client.ApiClient(configuration) as api:
        task = asyncio.create_task(_say_running(client.CoreV1Api(api), namespace))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _say_running(pods: Any, namespace: str) -> None:
    free = addresses()
    while True:
        with contextlib.suppress(client.ApiException, aiohttp.ClientError, OSError, TimeoutError):
            there = await pods.list_namespaced_pod(namespace, _request_timeout=5)
            for pod in there.items:
                if pod.status.phase == "Pending":
                    body = status(pod.spec.containers[0].name, next(free))
                    await pods.patch_namespaced_pod_status(pod.metadata.name, namespace, body)
        await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def _stub() -> AsyncIterator[str]:
    """Answer in place of all Labs."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(headers={"X-JupyterHub-Version": __version__})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def running_kube_hub(
    kube: Cluster, namespace: str, root: Path, more: str = ""
) -> AsyncIterator[KubeHub]:
    """Run a hub in a folder.

    Parameters
    ----------
    kube, namespace
        Where its pods are.
    root
        The folder.
    more
        Lines at the end of its configuration.
    """
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    timeout = aiohttp.ClientTimeout(total=120)
    connector = aiohttp.TCPConnector(limit=0)
    async with _stub() as stub, aiohttp.ClientSession(timeout=timeout, connector=connector) as http:
        lines = lab_lines(kube, namespace, stub) + _MORE
        write_config(root, url, _ROUTES, f"{lines}\n{more}\n")
        variables = {**os.environ, "KUBECONFIG": str(kube.kubeconfig)}
        hub = KubeHub(HubProcess(root, url, variables), http)
        hub.kube, hub.namespace = kube, namespace
        try:
            await hub.start()
            yield hub
        finally:
            await hub.kill()
