"""Browsing a real WebDAV door through the Lab."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from testbed.lab_hub import LabHub, lab_config
from testbed.lab_server import LAB_TOKEN
from testbed.pace import slowness
from testbed.webdav import GOOD, WebDAVDoor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from testbed.lab_server import LabServer, StartLab

ODD = [
    "100%.root",
    "a#b.root",
    "two words.root",
    "é…日本.root",
    "<script>alert(1)",
    "q?x=1",
    "a+b&c;d",
]


@pytest.fixture
def start(
    lab_hub: LabHub, start_lab: StartLab, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, str | None], Awaitable[LabServer]]:
    """Give a function that starts a Lab whose hub knows one door."""

    async def start_with(url: str, ca_file: str | None = None) -> LabServer:
        if ca_file:
            monkeypatch.setenv("SSL_CERT_FILE", ca_file)
        door = {"name": "demo", "title": "Demo storage", "url": url, "audience": "storage"}
        lab_hub.config = lab_config(storage=[door])
        return await start_lab(lab_hub)

    return start_with


Start = Any


async def listing(lab: LabServer, path: str = "/") -> list[dict[str, Any]]:
    """Return the rows of a folder, with the last line."""
    answer = await lab.fetch("af/storage/demo/list", path=path)
    assert answer.code == 200, answer.body
    return [json.loads(line) for line in answer.body.splitlines()]


async def refusal(lab: LabServer, path: str = "/") -> tuple[int, str, str]:
    """Return status, code and sentence of a listing that fails."""
    answer = await lab.fetch("af/storage/demo/list", path=path)
    body = json.loads(answer.body)
    return answer.code, body["code"], body["message"]


async def test_doors_are_told_as_the_hub_names_them(start: Start) -> None:
    lab = await start("https://127.0.0.1:1/store/")
    answer = await lab.fetch("af/storage")
    (door,) = json.loads(answer.body)["doors"]
    assert door == {
        "name": "demo",
        "title": "Demo storage",
        "url": "https://127.0.0.1:1/store",
        "kind": "webdav",
    }


async def test_a_folder_is_listed_when_the_token_is_good(
    webdav_door: WebDAVDoor, start: Start
) -> None:
    (webdav_door.store / "cms" / "sub").mkdir(parents=True)
    (webdav_door.store / "cms" / "data.root").write_bytes(b"12345")
    lab = await start(webdav_door.url, str(webdav_door.ca_file))
    rows = await listing(lab, "/cms")
    last = rows.pop()
    assert last == {"done": True, "count": 2, "left_out": 0}
    by_name = {row["name"]: row for row in rows}
    assert by_name["sub"]["type"] == "directory"
    assert by_name["data.root"]["size"] == 5
    assert by_name["data.root"]["url"] == f"{webdav_door.url}/cms/data.root"
    stored = webdav_door.store / "cms" / "data.root"
    assert by_name["data.root"]["modified"] == int(stored.stat().st_mtime)
    assert {token for _, _, token in webdav_door.requests} == {GOOD}


async def test_sizes_are_not_asked_for_again_when_the_listing_told_them(start: Start) -> None:
    lab = await start("https://127.0.0.1:1/store/")
    answer = await lab.client.fetch(
        f"{lab.url}af/storage/demo/stat",
        method="POST",
        body=json.dumps({"path": "/", "names": ["a"]}),
        headers={"Authorization": f"token {LAB_TOKEN}"},
        raise_error=False,
    )
    assert (answer.code, json.loads(answer.body)["code"]) == (400, "no-stat")


async def test_odd_names_survive_the_round_trip(webdav_door: WebDAVDoor, start: Start) -> None:
    for name in ODD:
        (webdav_door.store / name).mkdir()
        (webdav_door.store / name / name).write_text("x")
    lab = await start(webdav_door.url, str(webdav_door.ca_file))
    assert sorted(row["name"] for row in (await listing(lab))[:-1]) == sorted(ODD)
    for name in ODD:
        row, last = await listing(lab, f"/{name}")
        assert (row["name"], last["count"]) == (name, 1)
        assert row["url"] == f"{webdav_door.url}/{quote(name, safe='')}/{quote(name, safe='')}"
        answer = await lab.fetch("af/storage/demo/code", path=f"/{name}/{name}")
        assert json.loads(answer.body)["url"] == row["url"]


@pytest.mark.parametrize("path", ["/../etc", "/cms/../..", "/a\x00", "/a\x1fb", "/a\nb"])
async def test_a_path_is_refused_when_it_leaves_the_door(start: Start, path: str) -> None:
    lab = await start("https://127.0.0.1:1/store")
    assert (await refusal(lab, path))[:2] == (400, "bad-path")


async def test_a_path_is_refused_when_it_is_not_utf_8(start: Start) -> None:
    lab = await start("https://127.0.0.1:1/store")
    answer = await lab.fetch("af/storage/demo/list?path=/%ff")
    assert (answer.code, json.loads(answer.body)["code"]) == (400, "bad-query")


async def test_one_new_token_is_tried_when_the_door_refuses_the_first(
    webdav_door: WebDAVDoor, start: Start, lab_hub: LabHub
) -> None:
    lab_hub.tokens = ["revoked-token", GOOD]
    lab = await start(webdav_door.url, str(webdav_door.ca_file))
    assert (await listing(lab))[-1]["done"]
    assert [token for _, _, token in webdav_door.requests] == ["revoked-token", GOOD]


async def test_the_user_is_told_when_the_door_takes_no_token(
    webdav_door: WebDAVDoor, start: Start, lab_hub: LabHub
) -> None:
    lab_hub.tokens = ["bad-1", "bad-2", "bad-3"]
    lab = await start(webdav_door.url, str(webdav_door.ca_file))
    status, code, message = await refusal(lab)
    assert (status, code) == (403, "storage-token-refused")
    assert "Log in again" in message
    assert len(webdav_door.requests) == 2


async def test_the_user_is_told_when_a_folder_is_not_there(
    webdav_door: WebDAVDoor, start: Start
) -> None:
    lab = await start(webdav_door.url, str(webdav_door.ca_file))
    status, code, message = await refusal(lab, "/nothing")
    assert (status, code) == (404, "no-such-folder")
    assert "/nothing in Demo storage" in message


async def test_the_user_is_told_when_nobody_listens(start: Start) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        lab = await start(f"https://127.0.0.1:{free.getsockname()[1]}/store")
        assert (await refusal(lab))[:2] == (503, "unreachable")


async def test_the_user_is_told_when_the_certificate_is_not_trusted(
    webdav_door: WebDAVDoor, start: Start
) -> None:
    lab = await start(webdav_door.url)
    assert (await refusal(lab))[:2] == (503, "untrusted-certificate")
    assert not webdav_door.requests


# --- a door that misbehaves on demand ------------------------------------------------------------


@pytest.fixture
async def odd_door() -> Any:
    """Start an http door on loopback that does what a test puts into ``behaviour``."""

    class Door(RequestHandler):
        SUPPORTED_METHODS = ("PROPFIND", "GET")
        behaviour: Any = None
        seen: list[str] = []

        async def propfind(self) -> None:
            Door.seen.append(self.request.headers.get("Authorization", ""))
            await Door.behaviour(self)

    server = HTTPServer(Application([(r"/.*", Door)]))
    sockets = bind_sockets(0, "127.0.0.1", family=socket.AF_INET)
    server.add_sockets(sockets)
    Door.url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/store"  # type: ignore[attr-defined]
    yield Door
    server.stop()
    await server.close_all_connections()


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (403, (403, "storage-forbidden")),
        (405, (502, "storage-no-listing")),
        (409, (502, "storage-no-listing")),
        (429, (503, "storage-trouble")),
        (500, (503, "storage-trouble")),
        (503, (503, "storage-trouble")),
        (200, (502, "storage-garbage")),
        (207, (502, "storage-garbage")),
    ],
)
async def test_each_status_has_its_sentence(
    odd_door: Any, start: Start, status: int, expected: tuple[int, str]
) -> None:
    async def behave(handler: RequestHandler) -> None:
        handler.set_status(status)
        handler.finish("<html>trouble</html>")

    odd_door.behaviour = behave
    lab = await start(odd_door.url)
    assert (await refusal(lab))[:2] == expected


async def test_no_redirect_is_followed_with_a_token(odd_door: Any, start: Start) -> None:
    async def behave(handler: RequestHandler) -> None:
        handler.redirect("/elsewhere", status=307)

    odd_door.behaviour = behave
    lab = await start(odd_door.url)
    assert (await refusal(lab))[:2] == (502, "storage-no-listing")
    assert len(odd_door.seen) == 1


def row(number: int) -> str:
    """Return one response of a listing, as long as XRootD writes it."""
    return (
        f"<D:response><D:href>/store/file-{number:06}.root</D:href><D:propstat><D:prop>"
        f"<D:getcontentlength>{number}</D:getcontentlength>"
        "<D:getlastmodified>Thu, 01 Jan 2026 00:00:00 GMT</D:getlastmodified>"
        f"<D:resourcetype/><D:iscollection>0</D:iscollection>{' ' * 120}</D:prop>"
        "<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
    )


HEAD = '<?xml version="1.0"?><D:multistatus xmlns:D="DAV:">'


async def test_ten_thousand_entries_stream_fast(odd_door: Any, start: Start) -> None:
    release = asyncio.Event()

    async def behave(handler: RequestHandler) -> None:
        handler.set_status(207)
        handler.write(HEAD + "".join(row(number) for number in range(500)))
        await handler.flush()
        await asyncio.wait_for(release.wait(), 30)
        handler.write("".join(row(number) for number in range(500, 10_000)))
        handler.finish("</D:multistatus>")

    odd_door.behaviour = behave
    lab = await start(odd_door.url)
    pieces: list[bytes] = []

    def on_chunk(piece: bytes) -> None:
        # the storage goes on only when the first rows have reached the browser
        pieces.append(piece)
        release.set()

    began = time.perf_counter()
    answer = await lab.fetch("af/storage/demo/list", on_chunk=on_chunk)
    took = time.perf_counter() - began
    assert answer.code == 200
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    lines = b"".join(pieces).splitlines()
    assert json.loads(lines[-1]) == {"done": True, "count": 10_000, "left_out": 0}
    assert json.loads(lines[4321])["name"] == "file-004321.root"
    assert took < 3 * slowness()  # 0.4 s here; three times a second is the promise


async def test_the_last_line_tells_when_a_listing_breaks_off(odd_door: Any, start: Start) -> None:
    async def behave(handler: RequestHandler) -> None:
        handler.set_status(207)
        handler.write(HEAD + "".join(row(number) for number in range(500)))
        await handler.flush()
        handler.detach().close()

    odd_door.behaviour = behave
    lab = await start(odd_door.url)
    rows = await listing(lab)
    assert rows[0]["name"] == "file-000000.root"
    assert rows[-1]["error"]["code"] in {"unreachable", "storage-garbage"}


async def test_an_endless_listing_ends_with_an_error(
    odd_door: Any, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("af_labextension.data.webdav.LARGEST_LISTING", 200_000)

    async def behave(handler: RequestHandler) -> None:
        handler.set_status(207)
        handler.write(HEAD)
        for number in range(100_000):
            handler.write(row(number))
            await handler.flush()

    odd_door.behaviour = behave
    lab = await start(odd_door.url)
    rows = await listing(lab)
    assert 0 < len(rows) < 2000
    assert "error" in rows[-1]


async def test_an_entity_bomb_is_refused(odd_door: Any, start: Start) -> None:
    async def behave(handler: RequestHandler) -> None:
        handler.set_status(207)
        handler.finish(
            '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "cccccccccc">]>'
            '<D:multistatus xmlns:D="DAV:">&b;</D:multistatus>'
        )

    odd_door.behaviour = behave
    lab = await start(odd_door.url)
    assert (await refusal(lab))[:2] == (502, "storage-garbage")


async def test_the_lab_goes_on_when_a_browser_leaves_in_the_middle(
    odd_door: Any, start: Start
) -> None:
    left = asyncio.Event()

    async def behave(handler: RequestHandler) -> None:
        handler.set_status(207)
        handler.write(HEAD)
        for number in range(20_000):
            handler.write(row(number))
            if number % 500 == 0:
                await handler.flush()
        handler.finish("</D:multistatus>")
        left.set()

    odd_door.behaviour = behave
    lab = await start(odd_door.url)
    host, port = lab.url.split("/")[2].split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    target = "/user/a%40b/af/storage/demo/list?path=/&token=lab-access-token"
    writer.write(f"GET {target} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    assert (await reader.read(100)).startswith(b"HTTP/1.1 200")
    writer.transport.abort()
    with suppress(ConnectionError):
        await writer.wait_closed()
    await asyncio.wait_for(left.wait(), 30)
    assert (await lab.fetch("af/status")).code == 200
