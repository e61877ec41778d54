"""Clusters whose processes share no folder, as on a batch farm; and one without TLS.

Both engines start real processes of this machine. They stand in a gateway of the tests beside the
engine that is delivered:

- ``apart``: scheduler and each worker get a folder of their own, with what their launch brings and
  nothing else, and know it only as the folder that they start in. Workers cannot import anything of
  this project, nor Dask Gateway: an image of the users' own has `distributed`.
- ``plain``: somebody has switched TLS off for Dask's own connections.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from af_hub.compute.backend import FacilityBackend
from af_hub.compute.backends.local import LocalEngine
from af_hub.compute.backends.local_files import prepare

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from af_hub.compute.backends.base import State
    from af_hub.compute.launch import Launch

TYPES = """
    - name: apart
      title: Processes that share no folder
      backend: local
      worker: {cores: {default: 1, min: 1, max: 2}, memory: {default: 600M, min: 512M, max: 2G}}
      scale: {default: 0, max: 4}
      lifetime: {idle: 30m, max: 24h}
      token: {audience: storage}
    - name: plain
      title: Without TLS
      backend: local
      scale: {default: 0, max: 4}
      lifetime: {idle: 30m, max: 24h}
      token: {audience: storage}
"""

CONFIG = """
from testbed.apart import ApartBackend
c.DaskGateway.backend_class = ApartBackend
"""

FOREIGN = ("af_hub", "af_labextension", "dask_gateway", "dask_gateway_server")
"""What workers of ``apart`` cannot import."""

SITE = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {FOREIGN!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
"""


class ApartEngine(LocalEngine):
    """Each process in a folder of its own."""

    def folder(self, cluster: str) -> str:  # noqa: ARG002
        """Return where each process finds its files: in the folder that it starts in."""
        return "."

    async def start_cluster(self, cluster: str, launch: Launch) -> AsyncIterator[State]:
        """Make a folder for the scheduler, start it there."""
        yield {}
        self._folder(cluster).mkdir(mode=0o700)
        yield await self._start_apart(cluster, launch, "scheduler")

    async def start_worker(self, cluster: str, worker: str, launch: Launch) -> AsyncIterator[State]:
        """Make a folder for the worker, start it there."""
        files = {**launch.files, "sitecustomize.py": SITE.encode()}
        environment = {**launch.environment, "PYTHONPATH": "."}
        launch = replace(launch, environment=environment, files=files)
        yield await self._start_apart(cluster, launch, f"worker-{worker}")

    async def _start_apart(self, cluster: str, launch: Launch, name: str) -> State:
        folder = self._folder(cluster) / name
        await asyncio.to_thread(prepare, folder, launch.files)
        return await self._start(folder, launch, name)


class PlainEngine(LocalEngine):
    """Without TLS between scheduler and workers."""

    async def start_cluster(self, cluster: str, launch: Launch) -> AsyncIterator[State]:
        """Start the scheduler on plain TCP."""
        command = tuple("tcp" if part == "tls" else part for part in launch.command)
        async for state in super().start_cluster(cluster, _plain(launch, command)):
            yield state

    async def start_worker(self, cluster: str, worker: str, launch: Launch) -> AsyncIterator[State]:
        """Start a worker likewise."""
        async for state in super().start_worker(cluster, worker, _plain(launch, launch.command)):
            yield state


def _plain(launch: Launch, command: tuple[str, ...]) -> Launch:
    setting = {"DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "False"}
    return replace(launch, command=command, environment={**launch.environment, **setting})


class ApartBackend(FacilityBackend):
    """The facility's backend with these engines, each for the type of its name."""

    async def setup(self, app: Any) -> None:
        """Start."""
        root = Path(self.settings.folder) / "clusters"
        self._apart: Mapping[str, LocalEngine] = {
            "apart": ApartEngine(root),
            "plain": PlainEngine(root),
        }
        await super().setup(app)

    def engine(self, cluster: Any) -> Any:
        """Return what runs a cluster."""
        return self._apart.get(cluster.config.cluster_type) or super().engine(cluster)
