"""What dask-labextension's own front end calls, in the shapes in which it calls and is answered."""

from __future__ import annotations

import json
import sys
import types
from typing import TYPE_CHECKING, Any

import pytest
from distributed import Client

from testbed.lab_clusters import ask, listed, until
from testbed.lab_hub import lab_config
from testbed.lab_server import LAB_TOKEN
from testbed.small_gateway import cluster

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.lab_hub import LabHub
    from testbed.lab_server import StartLab
    from testbed.small_gateway import SmallGateway

pytestmark = pytest.mark.usefixtures("no_leftovers")

CONFIGURED = """
labextension:
  factory:
    module: dask.distributed
    class: LocalCluster
    args: []
    kwargs: {threads-per-worker: 1, memory-limit: 300M}
  default:
    workers: 1
"""


@pytest.fixture
def dask_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the user's Dask configuration."""
    (tmp_path / "dask").mkdir()
    (tmp_path / "dask" / "labextension.yaml").write_text(CONFIGURED)
    monkeypatch.setenv("DASK_CONFIG", str(tmp_path / "dask"))


async def test_its_calls_are_answered(start_lab: StartLab, dask_config: None) -> None:
    lab = await start_lab(None)
    assert await ask(lab, "GET", "dask/clusters") == (200, [])
    # its NEW button: PUT without a body
    status, model = await ask(lab, "PUT", "dask/clusters")
    assert status == 200, model
    assert set(model) == {
        "id",
        "name",
        "scheduler_address",
        "dashboard_link",
        "workers",
        "memory",
        "cores",
    }
    one = f"dask/clusters/{model['id']}"
    await until(lambda: ask(lab, "GET", one), lambda found: found[1]["workers"] == 1)
    status, (found,) = await ask(lab, "GET", "dask/clusters/")
    assert (status, found["cores"], found["memory"]) == (200, 1, "0.28 GiB")
    assert [each["type"] for each in await listed(lab)] == ["labextension"]
    # the code that it injects into a notebook
    client = await until(
        lambda: _connected(found["scheduler_address"]), lambda client: client is not None
    )
    assert await client.submit(sum, [1, 2]) == 3
    await client.close()
    status, scaled = await ask(lab, "PATCH", one, {"adapt": {"minimum": 0, "maximum": 1}})
    assert (status, scaled["adapt"]) == (200, {"minimum": 0, "maximum": 1})
    status, scaled = await ask(lab, "PATCH", one, {"workers": 1})
    assert (status, "adapt" in scaled) == (200, False)
    for bad in ({"workers": -1}, {"workers": "1"}, {"workers": 10**9}, {"adapt": 1}, {"x": 1}):
        status, answer = await ask(lab, "PATCH", one, bad)
        assert status in {400, 422}, answer
    url = found["dashboard_link"].removesuffix("/status")
    status, check = await ask(lab, "GET", f"dask/dashboard-check/{url.replace('/', '%2F')}")
    assert (status, check["isActive"]) == (200, True)
    assert check["plots"]["Individual Task Stream"] == "/individual-task-stream"
    for foreign in ("http%3A%2F%2F127.0.0.1%3A8787", "https%3A%2F%2Fexample.org"):
        status, check = await ask(lab, "GET", f"dask/dashboard-check/{foreign}")
        assert (status, check["isActive"], check["plots"]) == (200, False, {})
    page = f"dask/dashboard/{model['id']}/individual-task-stream"
    shown = await lab.client.fetch(
        lab.url + page, headers={"Authorization": f"token {LAB_TOKEN}"}, follow_redirects=True
    )
    assert b"<html" in shown.body
    assert shown.headers["Content-Security-Policy"].startswith("sandbox allow-scripts;")
    assert (await ask(lab, "DELETE", one))[0] == 204
    await until(lambda: listed(lab), lambda found: not found)
    assert (await ask(lab, "GET", one))[0] == 404


async def _connected(address: str) -> Any:
    """Connect as ``Client("tls://…")`` in a notebook does: the Lab named the security loader."""
    import dask

    from af_labextension.clusters.code import security_for

    with dask.config.set({"distributed.client.security-loader": _name(security_for)}):
        connect: Any = Client
        return await connect(address, asynchronous=True)


def _name(function: Any) -> str:
    return f"{function.__module__}.{function.__qualname__}"


async def test_it_sees_the_gateways_clusters_too(
    lab_hub: LabHub, small_gateway: SmallGateway, start_lab: StartLab
) -> None:
    lab_hub.config = lab_config(compute=small_gateway.compute)
    small_gateway.tell(cluster(1), cluster(2, state="pending"))
    lab = await start_lab(lab_hub)
    _, (model,) = await ask(lab, "GET", "dask/clusters")
    assert model["scheduler_address"] == f"gateway://127.0.0.1:1/{cluster(1)['id']}"
    assert (model["workers"], model["memory"]) == (2, "2.00 GiB")


async def test_its_own_server_part_answers_where_it_is_loaded(
    start_lab: StartLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = types.ModuleType("dask_labextension")
    module._jupyter_server_extension_points = lambda: [  # type: ignore[attr-defined]
        {"module": "dask_labextension"}
    ]
    module._load_jupyter_server_extension = print  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "dask_labextension", module)
    lab = await start_lab(None, _extensions={"dask_labextension": True})
    assert (await ask(lab, "GET", "dask/clusters"))[0] == 404
    assert (await ask(lab, "GET", "af/clusters"))[0] == 200
    assert json.loads((await lab.fetch("api/status")).body)
