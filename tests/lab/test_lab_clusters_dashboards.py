"""Dashboards of clusters inside the user's server: for their owner, and shut off from the Lab."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from distributed import Client
from tornado.httpclient import HTTPClientError, HTTPRequest

from af_labextension.clusters.manager.folder import Folder
from testbed.lab_clusters import HERE, ask, listed, make, processes, until
from testbed.lab_server import LAB_TOKEN
from testbed.websocket import websocket

if TYPE_CHECKING:
    from testbed.lab_server import StartLab

pytestmark = pytest.mark.usefixtures("no_leftovers")


async def test_dashboards_open_by_their_ticket_only_and_are_live(start_lab: StartLab) -> None:
    lab = await start_lab(None, in_lab_types=[HERE])
    cluster = await make(lab)
    _, answer = await ask(lab, "GET", f"af/clusters/{cluster}/dashboards")
    root = lab.url.split("/user/")[0]
    urls = {link["title"]: link["url"] for link in answer["links"]}
    for link in urls.values():
        found = await lab.client.fetch(root + link)  # no cookie, no token
        assert b"<html" in found.body, link
        assert found.headers["Content-Security-Policy"] == (
            "sandbox allow-scripts; frame-ancestors 'self'"
        )
        assert LAB_TOKEN.encode() not in found.body
    page = urls["Task stream"]
    # what the page loads, as a frame without cookies loads it
    html = (await lab.client.fetch(root + page)).body.decode()
    secret = _state(cluster)["private"]["dashboard_token"]
    assert len(secret) == 43
    assert secret not in html
    scripts = [part.split('"')[0] for part in html.split('src="')[1:]]
    for script in scripts:
        path = script if script.startswith("/") else page.rsplit("/", 1)[0] + "/" + script
        assert (await lab.client.fetch(root + path, raise_error=False)).code == 200, script
    session = html.split('"token":"')[1].split('"')[0]
    request = HTTPRequest(
        f"{(root + page).replace('http', 'ws', 1)}/ws", headers={"Origin": "null"}
    )
    async with websocket(request, subprotocols=["bokeh", session]) as socket, asyncio.timeout(30):
        assert "ACK" in str(await socket.read_message()) + str(await socket.read_message())
    ticket = page.split("/dashboard/")[1].split("/")[0]
    for wrong in (
        page.replace(ticket, "A" * 43),
        page.replace(cluster, f"lab-{'0' * 32}"),
        page.replace("individual-task-stream", "proxy/1/127.0.0.1/x"),
        page.replace("individual-task-stream", "api/v1/retire_workers"),
        page.replace("individual-task-stream", "../../json/identity.json"),
    ):
        found = await lab.client.fetch(root + wrong, raise_error=False)
        assert found.code == 404, wrong
    anonymous = await lab.fetch(f"af/clusters/{cluster}/dashboards", anonymous=True)
    assert anonymous.code == 403
    await ask(lab, "DELETE", f"af/clusters/{cluster}")
    await until(lambda: listed(lab), lambda found: not found)
    found = await lab.client.fetch(root + page, raise_error=False)
    assert found.code == 404


def _state(cluster: str) -> dict[str, Any]:
    found = Folder(Path(os.environ["AF_LAB_CLUSTERS"])).read(cluster)
    assert found is not None
    return found


async def test_other_users_of_the_machine_reach_nothing(start_lab: StartLab) -> None:
    """Any of them can connect to any port on loopback; none of them knows what opens it."""
    lab = await start_lab(None, in_lab_types=[HERE])
    cluster = await make(lab)
    pages = (
        "/",
        "/status",
        "/info/main/workers.html",
        "/json/identity.json",
        "/metrics",
        "/health",
    )
    ports = {
        connection.laddr.port
        for process in processes(cluster)
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert len(ports) >= 4
    for port in ports:
        for page in pages:
            with suppress(OSError, HTTPClientError):  # TLS, which hangs up on HTTP
                url = f"http://127.0.0.1:{port}{page}"
                found = await lab.client.fetch(url, raise_error=False)
                assert found.code in {403, 404, 599}, (port, page)
    address = _state(cluster)["private"]["address"]

    connect: Any = Client
    for attempt in (address.replace("tls://", "tcp://"), address):
        with pytest.raises((OSError, TypeError)):
            await asyncio.to_thread(connect, attempt, timeout=3)
    await ask(lab, "DELETE", f"af/clusters/{cluster}")
    await until(lambda: listed(lab), lambda found: not found)
