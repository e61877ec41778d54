"""An engine without processes: it remembers what "runs", fails now and then, and counts itself.

Everything around it is the real backend.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from aiohttp import web
from dask_gateway_server.app import DaskGateway

from af_hub.compute import processes
from af_hub.compute.backend import FacilityBackend
from af_hub.compute.gateway import configure
from af_hub.compute.quota import RESOURCES, Amount
from af_hub.compute.settings import GatewaySettings

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    import pytest

    from af_hub.compute.launch import Launch
    from af_hub.compute.logs import Log
    from af_hub.compute.types import ClusterType, ComputeConfig


class Farm:
    """An engine that remembers, and fails now and then."""

    host = "farm"

    def __init__(self, compute: ComputeConfig, draw: random.Random, failures: float) -> None:
        self.compute = compute
        self.draw = draw
        self.failures = failures
        self.away = False
        self.living: dict[str, str] = {}
        self.most: dict[str, int] = defaultdict(int)
        self.owners: dict[str, tuple[str, str, Amount]] = {}
        self.violations: list[str] = []
        self.devices: dict[str, str] = {}

    def believes(self, host: str) -> bool:
        """Believe one."""
        return host == self.host

    def folder(self, cluster: str) -> str:
        """Name a place."""
        return f"/farm/{cluster}"

    async def problem(self, _kind: ClusterType, _image: str) -> str | None:
        """Have none, unless it is away."""
        await asyncio.sleep(0)
        if self.away:
            raise OSError("no farm")
        return None

    async def start_cluster(self, cluster: str, _launch: Launch) -> AsyncIterator[dict[str, Any]]:
        """Do nothing."""
        yield {"job": cluster}

    async def stop_cluster(self, cluster: str, _state: Mapping[str, Any]) -> None:
        """Forget it."""
        self._fail()
        await asyncio.sleep(0)
        assert cluster not in self.living.values()

    async def start_worker(
        self, cluster: str, worker: str, launch: Launch
    ) -> AsyncIterator[dict[str, Any]]:
        """Remember it, and look at what runs now."""
        yield {"job": worker}
        await asyncio.sleep(self.draw.random() / 200)
        self.living[worker] = cluster
        for device in launch.environment["CUDA_VISIBLE_DEVICES"].split(","):
            if device and device in self.devices:
                self.violations.append(f"GPU {device} given twice")
            if device:
                self.devices[device] = worker
        self.check(cluster)
        self._fail()

    async def stop_worker(self, _cluster: str, state: Mapping[str, Any]) -> None:
        """Forget it, at the second try perhaps."""
        self._fail()
        await asyncio.sleep(self.draw.random() / 200)
        self.living.pop(state.get("job", ""), None)
        # empty if its scheduler named it before it was started
        for device in state.get("gpus", ()):
            self.devices.pop(device, None)

    async def alive(self, states: Sequence[Mapping[str, Any]]) -> list[bool]:
        """Say what is remembered; schedulers never die."""
        jobs = [state.get("job") for state in states]
        return [job in self.living or job in self.owners for job in jobs]

    async def end_unknown(self, known: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
        """End what nobody knows."""
        jobs = {state.get("job") for states in known.values() for state in states}
        lost = [worker for worker in self.living if worker not in jobs]
        for worker in lost:
            del self.living[worker]
        return lost

    async def logs(self, _cluster: str, _lines: int) -> list[Log]:
        """Have none."""
        return []

    def _fail(self) -> None:
        if self.draw.random() < self.failures:
            raise OSError("the farm is on strike")

    def check(self, cluster: str) -> None:
        """Compare what lives with the limits of the cluster's owner and group."""
        user, group, _ = self.owners[cluster]
        for position, whose, limits in (
            (0, user, self.compute.quotas.user),
            (1, group, self.compute.quotas.groups[group]),
        ):
            total = Amount()
            for each in self.living.values():
                if self.owners[each][position] == whose:
                    total += self.owners[each][2]
            for resource in RESOURCES:
                limit = limits.of(resource)
                self.most[resource] = max(self.most[resource], total.of(resource))
                if limit is not None and total.of(resource) > limit:
                    self.violations.append(f"{whose}: {total.of(resource)} of {limit} {resource}")


async def start_farm(
    folder: Path, farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> tuple[FacilityBackend, web.AppRunner]:
    """Start the backend as the gateway does, on a database that may be there already."""
    settings = GatewaySettings(
        compute=farm.compute,
        address="127.0.0.1:1",
        proxy_http="127.0.0.1:2",
        proxy_tcp="127.0.0.1:3",
        folder=folder,
        hub_api_url="http://127.0.0.1:4/hub/api",
        hub_token_file=folder / "secret",
        proxy_token_file=folder / "secret",
        encrypt_key_file=folder / "secret",
    )
    gateway = DaskGateway()
    configure(gateway.config, settings)
    gateway.config.FacilityBackend.backoff_max_delay = 0.2
    gateway.config.FacilityBackend.db_url = f"sqlite:///{folder / 'gateway.sqlite'}"
    log = logging.getLogger("farm")
    log.setLevel(logging.ERROR)
    backend = FacilityBackend(parent=gateway, log=log)
    monkeypatch.setattr(processes, "make_engines", lambda _: {"local": farm})
    app = web.Application()
    app["gateway"], app["backend"], app["authenticator"], app["log"] = gateway, backend, None, log
    await backend.setup(app)
    return backend, web.AppRunner(app)


async def stop_farm(backend: FacilityBackend, runner: web.AppRunner) -> None:
    """End a gateway, not its clusters."""
    await runner.cleanup()
    await backend.cleanup()
    backend.db.db.dispose()
