"""The Dask panel's routes in a real Jupyter Server, against a real gateway."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from tornado.httpclient import HTTPClientError, HTTPRequest

from af_labextension.clusters.names import CLUSTERS
from testbed import lab_hub as lab_hub_module
from testbed import lab_server as lab_server_module
from testbed.lab_clusters import hears, tab
from testbed.lab_hub import lab_config
from testbed.lab_server import LAB_TOKEN
from testbed.websocket import websocket

if TYPE_CHECKING:
    from testbed.gateway import Testbed
    from testbed.lab_hub import LabHub
    from testbed.lab_server import LabServer, StartLab

NO_WORKERS = {"mode": "fixed", "workers": 0}


@pytest_asyncio.fixture
async def lab(
    bed: Testbed, lab_hub: LabHub, start_lab: StartLab, monkeypatch: pytest.MonkeyPatch
) -> LabServer:
    """Start a Lab of alice, whose hub token the gateway knows."""
    token = await asyncio.to_thread(bed.token, "alice")
    monkeypatch.setattr(lab_hub_module, "SERVER_TOKEN", token)
    monkeypatch.setattr(lab_server_module, "SERVER_TOKEN", token)
    lab_hub.config = lab_config(
        compute={
            "gateway": {"address": bed.address, "proxy_address": bed.wiring.gateway_proxy_url},
            "types": [{"name": "local", "title": "This machine", "options": {"type": "object"}}],
        }
    )
    return await start_lab(lab_hub)


async def ask(lab: LabServer, method: str, route: str, body: Any = None) -> tuple[int, Any]:
    """Ask the Lab as its own page does."""
    found = await lab.client.fetch(
        f"{lab.url}af/clusters{route}",
        method=method,
        headers={"Authorization": f"token {LAB_TOKEN}"},
        body=None if body is None else json.dumps(body),
        raise_error=False,
        allow_nonstandard_methods=True,
    )
    return found.code, json.loads(found.body or b"null")


async def made(lab: LabServer) -> str:
    """Make a cluster without workers and wait until it runs."""
    body = {"type": "local", "options": {"worker_cores": 1}, "scale": NO_WORKERS}
    status, cluster = await ask(lab, "POST", "", body)
    assert (status, cluster["state"]) == (201, "pending")
    for _ in range(300):
        if (await ask(lab, "GET", f"/{cluster['id']}"))[1]["state"] == "running":
            return str(cluster["id"])
        await asyncio.sleep(0.1)
    pytest.fail("the cluster does not start")


async def test_a_cluster_is_made_shown_and_ended_when_the_panel_asks(lab: LabServer) -> None:
    status, types = await ask(lab, "GET", "/types")
    assert (status, types["available"], types["types"][0]["name"]) == (200, True, "local")
    cluster = await made(lab)
    _, listed = await ask(lab, "GET", "")
    assert [one["id"] for one in listed["clusters"]] == [cluster]
    status, code = await ask(lab, "GET", f"/{cluster}/code")
    assert cluster in code["code"]
    status, answer = await ask(
        lab, "PATCH", f"/{cluster}", {"scale": {"mode": "fixed", "workers": 99}}
    )
    assert (status, answer["code"]) == (422, "bad-option")
    assert "scale.workers" in answer["message"]
    assert (await ask(lab, "DELETE", f"/{cluster}"))[0] == 204
    status, answer = await ask(lab, "GET", f"/{'0' * 32}")
    assert (status, answer["code"]) == (404, "no-cluster")


async def test_tabs_hear_of_a_cluster_from_its_start_to_its_end(lab: LabServer) -> None:
    async with tab(lab) as one, tab(lab) as other:
        for told in (one, other):
            assert (await hears(told, bool))["problem"] is None
        cluster = await made(lab)

        def state(found: dict[str, Any]) -> list[str]:
            return [each["state"] for each in found["clusters"] if each["id"] == cluster]

        for told in (one, other):
            found = await hears(told, lambda found: state(found) == ["running"])
            assert all(each["backend"] == "gateway" for each in found["clusters"])
        await ask(lab, "DELETE", f"/{cluster}")
        for told in (one, other):
            await hears(told, lambda found: not state(found))


async def test_a_dashboard_opens_by_its_ticket_only(lab: LabServer) -> None:
    cluster = await made(lab)
    _, answer = await ask(lab, "GET", f"/{cluster}/dashboards")
    urls = {link["title"]: link["url"] for link in answer["links"]}
    root = lab.url.split("/user/")[0]
    page = urls["Task stream"]
    assert page.startswith("/user/")
    for link in urls.values():
        found = await lab.client.fetch(root + link)  # no cookie, no token
        assert b"<html" in found.body, link
        assert found.headers["Content-Security-Policy"].startswith("sandbox allow-scripts;")
        assert LAB_TOKEN.encode() not in found.body
    ticket = page.split("/dashboard/")[1].split("/")[0]
    for wrong in (
        page.replace(ticket, "A" * 43),
        page.replace(cluster, "0" * 32),
        page.replace("individual-task-stream", "proxy/1/127.0.0.1/x"),
    ):
        found = await lab.client.fetch(root + wrong, raise_error=False)
        assert found.code == 404, wrong
    anonymous = await lab.fetch(f"af/clusters/{cluster}/dashboards", anonymous=True)
    assert anonymous.code == 403
    await ask(lab, "DELETE", f"/{cluster}")


async def test_a_dashboard_is_live_when_its_websocket_is_opened(lab: LabServer) -> None:
    cluster = await made(lab)
    _, answer = await ask(lab, "GET", f"/{cluster}/dashboards")
    page = lab.url.split("/user/")[0] + answer["links"][1]["url"]
    html = (await lab.client.fetch(page)).body.decode()
    session = html.split('"token":"')[1].split('"')[0]
    # what a sandboxed frame sends
    request = HTTPRequest(f"{page.replace('http', 'ws', 1)}/ws", headers={"Origin": "null"})
    async with websocket(request, subprotocols=["bokeh", session]) as socket, asyncio.timeout(30):
        assert socket.selected_subprotocol == "bokeh"
        assert "ACK" in str(await socket.read_message()) + str(await socket.read_message())
    wrong = HTTPRequest(request.url.replace(cluster, "0" * 32))
    with pytest.raises(HTTPClientError):
        async with websocket(wrong):
            pass
    await ask(lab, "DELETE", f"/{cluster}")


async def test_the_panel_says_so_when_the_gateway_does_not_answer(
    lab: LabServer, lab_hub: LabHub
) -> None:
    lab_hub.config["compute"]["gateway"]["address"] = "http://127.0.0.1:9/services/dask-gateway"
    status, answer = await ask(lab, "GET", "")
    assert (status, answer["clusters"]) == (200, [])
    assert answer["problem"]["code"] == "gateway-unreachable"


async def test_the_panel_says_why_when_there_is_no_hub(start_lab: StartLab) -> None:
    lab = await start_lab(None)
    status, types = await ask(lab, "GET", "/types")
    assert (status, types["available"]) == (200, False)
    assert "no hub" in types["message"]
    status, answer = await ask(lab, "GET", "")
    assert (status, answer["clusters"], answer["problem"]) == (200, [], None)
    status, answer = await ask(lab, "POST", "", {"type": "local"})
    assert (status, answer["code"]) == (422, "unknown-type")


async def test_connections_to_the_gateway_end_when_the_server_stops(lab: LabServer) -> None:
    assert (await ask(lab, "GET", ""))[0] == 200
    client = lab.app.web_app.settings[CLUSTERS].gateway._http
    assert client._client is not None
    await lab.app.extension_manager.stop_all_extensions()  # type: ignore[no-untyped-call]
    assert client._client is None
