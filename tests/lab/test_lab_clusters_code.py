"""Clusters from code in a notebook: ``clusters.new("local", workers=4)``."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from testbed import lab_hub as lab_hub_module
from testbed import lab_server as lab_server_module
from testbed.lab_clusters import HERE, ask, ended, hears, listed, tab, until
from testbed.lab_hub import lab_config

if TYPE_CHECKING:
    from testbed.gateway import Testbed
    from testbed.lab_hub import LabHub
    from testbed.lab_server import StartLab

pytestmark = pytest.mark.usefixtures("no_leftovers")


async def run(code: str, **environment: str) -> str:
    """Run code in another process, as a kernel does; return what it prints last."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error::RuntimeWarning", "-c", code),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    out, problems = await process.communicate()
    assert process.returncode == 0, problems.decode()
    return out.decode().splitlines()[-1]


NEW = """
from af_labextension import clusters

cluster = clusters.new("here", workers=1, cores=1, memory="256M")
client = cluster.get_client()
assert len(client.scheduler_info()["workers"]) == 1
assert client.submit(sum, [1, 2]).result() == 3
client.close()

from distributed import Client
with Client(cluster) as client:
    assert client.submit(sum, [1, 2]).result() == 3
with Client(cluster.scheduler_address) as client:
    assert client.submit(sum, [1, 2]).result() == 3
print(cluster.id)
"""

REFUSED = """
from af_labextension import clusters

for wrong in ({"workers": 10**9}, {"workers": "2"}, {"memory": "1G; ls"}, {"cores": -1}):
    try:
        clusters.new("here", **wrong)
    except Exception as error:
        assert type(error).__name__ == "BadRequest", error
        (field,) = wrong
        assert field in error.message, error
    else:
        raise AssertionError(wrong)
for wrong in ("lab-" + "0" * 32,):
    try:
        clusters.connect(wrong)
    except clusters.ClusterError as error:
        assert error.code == "no-cluster"
print("refused")
"""


async def test_a_cluster_in_this_server_is_made_by_code_and_listed(start_lab: StartLab) -> None:
    lab = await start_lab(None, in_lab_types=[HERE])
    async with tab(lab) as told:
        made = await run(NEW)
        # made in a notebook, shown in all tabs, and still there when the notebook is not
        found = await hears(told, lambda one: one["clusters"])
        assert found["clusters"][0]["id"] == made
    (one,) = await listed(lab)
    assert (one["id"], one["state"], one["workers"]) == (made, "running", 1)
    assert one["options"] == {"worker_cores": 1, "worker_memory": 256 * 2**20}
    assert await run(REFUSED) == "refused"
    end = f"from af_labextension import clusters; clusters.connect({made!r}).shutdown(); print(1)"
    assert await run(end) == "1"
    await until(lambda: listed(lab), lambda found: not found)
    await ended(made)


GATEWAY = """
from af_labextension import clusters
from dask_gateway import Gateway

cluster = clusters.new("local", workers=1, memory="512M", timeout=120)
assert type(cluster).__name__ == "GatewayCluster"
name = cluster.name
with cluster.get_client() as client:
    assert client.submit(sum, [1, 2]).result() == 3
# what is in every Dask book works without arguments
assert [one.name for one in Gateway().list_clusters()] == [name]
again = clusters.connect(name)
with again.get_client() as client:
    assert client.submit(sum, [1, 2]).result() == 3
print(name)
"""


async def test_a_cluster_of_the_gateway_is_made_by_code_and_goes_on_without_it(
    bed: Testbed, lab_hub: LabHub, start_lab: StartLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = "carla"  # has no other cluster
    token = await asyncio.to_thread(bed.token, user)
    monkeypatch.setattr(lab_hub_module, "SERVER_TOKEN", token)
    monkeypatch.setattr(lab_server_module, "SERVER_TOKEN", token)
    gateway = {"address": bed.address, "proxy_address": bed.wiring.gateway_proxy_url}
    kind: dict[str, Any] = {"name": "local", "title": "This machine", "backend": "local"}
    lab_hub.config = lab_config(compute={"gateway": gateway, "types": [kind]})
    lab = await start_lab(lab_hub)
    made = await run(
        GATEWAY,
        JUPYTERHUB_API_TOKEN=token,
        DASK_GATEWAY__ADDRESS=bed.address,
        DASK_GATEWAY__PROXY_ADDRESS=bed.wiring.gateway_proxy_url,
        DASK_GATEWAY__AUTH__TYPE="jupyterhub",
    )
    (one,) = await listed(lab)
    assert (one["id"], one["backend"], one["state"]) == (made, "gateway", "running")
    assert (await ask(lab, "DELETE", f"af/clusters/{made}"))[0] == 204
    await until(lambda: listed(lab), lambda found: not found)
