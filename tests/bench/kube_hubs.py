"""Hubs whose Labs are pods, ours and plain KubeSpawner's, as `kube_burst` and `kube_events` use them.

The pods ask for a scheduler that does not exist, so that no node takes them.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.loop_meter import MeterReader, metered
from testbed.kube_hub import KubeHub, running_kube_hub, says_running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from testbed.kube.cluster import Cluster

_BOTH = """
c.KubeSpawner.extra_pod_config = {"schedulerName": "nobody"}
c.KubeSpawner.start_timeout = 600
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}
c.JupyterHub.log_level = "WARN"
# each hub's own; the tests' is two seconds
del c.Spawner.poll_interval
"""

MORE = {
    "ours": "",
    "plain": """
import kubespawner
class Plain(kubespawner.KubeSpawner):
    def _get_pod_url(self, pod): return stub
c.JupyterHub.spawner_class = Plain
c.JupyterHub.authenticator_class = DummyAuthenticator
del c.KubeSpawner.profiles, c.KubeSpawner.reserved_cpu, c.KubeSpawner.reserved_memory
c.KubeSpawner.cpu_limit = 1
c.KubeSpawner.cpu_guarantee = 0.01
c.KubeSpawner.mem_limit = c.KubeSpawner.mem_guarantee = "128M"
c.KubeSpawner.profile_list = [{"display_name": "Small", "slug": "small", "default": True}]
""",
}


@contextlib.asynccontextmanager
async def metered_hub(
    kube: Cluster, variant: str, *, running: bool
) -> AsyncIterator[tuple[KubeHub, MeterReader]]:
    """Run a hub in a namespace of its own.

    Parameters
    ----------
    kube
        The cluster.
    variant
        ``ours`` or ``plain``.
    running
        Whether a program says of each pod that it runs; otherwise all stay pending.
    """
    namespace = f"hub-{secrets.token_hex(3)}"
    await asyncio.to_thread(kube.add_namespace, namespace)
    try:
        with tempfile.TemporaryDirectory(prefix="af-bench-") as folder:
            path = Path(folder) / "meter.json"
            more = metered(path) + _BOTH + MORE[variant]
            async with (
                says_running(kube, namespace) if running else contextlib.nullcontext(),
                running_kube_hub(kube, namespace, Path(folder), more) as hub,
            ):
                yield hub, MeterReader(path)
    finally:
        await asyncio.to_thread(kube.kubectl, "delete", "namespace", namespace, timeout=300)


async def ask_all(hub: KubeHub, users: list[str], options: dict[str, Any]) -> None:
    """Let everybody ask for a server at once."""
    answers = await asyncio.gather(*(hub.ask(user, **options) for user in users))
    assert {status for status, _ in answers} <= {201, 202}, answers
