"""What the Lab says when Rucio is down, slow, wrong or unwilling; and that nothing goes on for ever."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from af_labextension.rucio.exchange import Patience
from testbed.iam import free_ports
from testbed.lab_rucio import OddRequest, rows_of, rucio_config
from testbed.webdav import GOOD

if TYPE_CHECKING:
    from testbed.lab_rucio import OddRucio, RucioHub, StartRucioLab
    from testbed.lab_server import LabServer, StartLab
    from testbed.webdav import WebDAVDoor

FILES = "af/rucio/children?scope=cms&name=/d&type=dataset"


def file(number: int) -> dict[str, Any]:
    """Return a row as Rucio sends it."""
    return {
        "scope": "cms",
        "name": f"/store/{number:06}.root",
        "bytes": number,
        "adler32": "00000000",
        "guid": None,
        "events": None,
    }


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a Lab wait for tenths of a second only."""
    patience = Patience(connect=0.5, first=0.4, idle=0.3, largest=4 * 1024 * 1024)
    monkeypatch.setattr("af_labextension.rucio.exchange.Patience", lambda: patience)


async def refusal(lab: LabServer, route: str = FILES) -> tuple[int, str]:
    """Return status and code of an error that comes with a sentence."""
    answer = await lab.fetch(route)
    error = json.loads(answer.body)
    assert error["message"].endswith(".")
    return answer.code, error["code"]


async def test_a_rucio_that_is_down_has_a_sentence_that_says_what_works(
    rucio_hub: RucioHub, start_lab: StartLab
) -> None:
    rucio_hub.config = rucio_config(f"http://127.0.0.1:{free_ports(1)[0]}")
    lab = await start_lab(rucio_hub)
    answer = await lab.fetch("af/rucio/scopes")
    assert (answer.code, json.loads(answer.body)["code"]) == (503, "rucio-unreachable")
    assert "storage can still be browsed" in json.loads(answer.body)["message"]


async def test_a_facility_without_rucio_says_so(rucio_hub: RucioHub, start_lab: StartLab) -> None:
    lab = await start_lab(rucio_hub)
    place = json.loads((await lab.fetch("af/rucio")).body)
    assert place == {"available": False, "url": None, "account": None}
    assert await refusal(lab, "af/rucio/scopes") == (404, "no-rucio")


async def test_a_lab_without_hub_and_settings_has_no_rucio(start_lab: StartLab) -> None:
    lab = await start_lab(None)
    assert await refusal(lab, "af/rucio/scopes") == (404, "no-rucio")


@pytest.mark.parametrize(
    "rucio",
    [
        "http://rucio.example.org",
        {"url": "http://rucio.example.org", "audience": "rucio"},
        {"url": "https://user@rucio.example.org", "audience": "rucio"},
        {"url": "https://rucio.example.org", "audience": "../x"},
        {"url": "https://rucio.example.org", "audience": "rucio", "account": "a\nb"},
    ],
)
async def test_a_hub_that_says_nonsense_about_rucio_is_not_believed(
    rucio_hub: RucioHub, start_lab: StartLab, rucio: object
) -> None:
    rucio_hub.config = {**rucio_config("http://127.0.0.1:1"), "rucio": rucio}
    lab = await start_lab(rucio_hub)
    assert await refusal(lab, "af/rucio") == (500, "rucio-config")
    assert "rucio" not in rucio_hub.asked


async def test_an_untrusted_certificate_has_its_own_sentence(
    rucio_hub: RucioHub,
    start_lab: StartLab,
    webdav_door: WebDAVDoor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rucio_hub.config = rucio_config(webdav_door.url.removesuffix("/store"))
    lab = await start_lab(rucio_hub)
    assert await refusal(lab) == (503, "rucio-untrusted")
    assert webdav_door.requests == []
    monkeypatch.setenv("SSL_CERT_FILE", str(webdav_door.ca_file))
    other = await start_lab(rucio_hub)
    # trusted, and no Rucio
    assert (await refusal(other))[1] != "rucio-untrusted"


@pytest.mark.usefixtures("hasty")
async def test_a_rucio_that_never_answers_has_a_sentence(
    odd_rucio: OddRucio, odd_lab: StartRucioLab
) -> None:
    odd_rucio.behaviour = OddRequest.gone
    lab = await odd_lab()
    assert await refusal(lab) == (503, "rucio-slow")
    assert len(odd_rucio.seen) == 1  # a slow server is not asked twice


@pytest.mark.usefixtures("hasty")
async def test_the_last_line_tells_when_rucio_falls_silent_in_the_middle(
    odd_rucio: OddRucio, odd_lab: StartRucioLab
) -> None:
    closed = asyncio.Event()

    async def behave(request: OddRequest) -> None:
        await request.begin()
        await request.rows(*map(file, range(3)))
        await request.gone()
        closed.set()

    odd_rucio.behaviour = behave
    lab = await odd_lab()
    *rows, last = rows_of((await lab.fetch(FILES)).body)
    assert len(rows) == 3
    assert last["error"]["code"] == "rucio-slow"
    await asyncio.wait_for(closed.wait(), 30)


async def test_the_last_line_tells_when_rucio_breaks_off(
    odd_rucio: OddRucio, odd_lab: StartRucioLab
) -> None:
    pieces: list[bytes] = []
    arrived = asyncio.Event()

    async def behave(request: OddRequest) -> None:
        await request.begin()
        await request.rows(*map(file, range(3)))
        await asyncio.wait_for(arrived.wait(), 30)

    def on_chunk(piece: bytes) -> None:
        pieces.append(piece)
        arrived.set()

    odd_rucio.behaviour = behave
    lab = await odd_lab()
    await lab.fetch(FILES, on_chunk=on_chunk)
    *rows, last = rows_of(b"".join(pieces))
    assert len(rows) == 3
    assert last["error"]["code"] == "rucio-broke-off"


async def test_a_connection_that_fails_at_once_is_tried_again(
    odd_rucio: OddRucio, odd_lab: StartRucioLab
) -> None:
    async def behave(request: OddRequest) -> None:
        if len(odd_rucio.seen) > 1:
            await request.begin()
            await request.rows(file(1))
            await request.end()

    odd_rucio.behaviour = behave
    lab = await odd_lab()
    *rows, last = rows_of((await lab.fetch(FILES)).body)
    assert (len(rows), last["count"]) == (1, 1)


@pytest.mark.parametrize(
    "line",
    [
        "<html>Welcome to nginx</html>",
        "[1, 2]",
        '"text"',
        "{",
        '{"scope": "cms"}',
        '{"scope": "cms", "name": 1, "bytes": 1}',
        "[" * 100_000,
        "\udc80".encode("utf-8", "surrogatepass").decode("latin-1"),
    ],
    ids=["html", "list", "text", "half", "no-name", "number", "deep", "bytes"],
)
async def test_garbage_has_a_sentence(
    odd_rucio: OddRucio, odd_lab: StartRucioLab, line: str
) -> None:
    async def behave(request: OddRequest) -> None:
        await request.begin()
        await request.rows(line)
        await request.end()

    odd_rucio.behaviour = behave
    lab = await odd_lab()
    assert await refusal(lab) == (502, "rucio-garbage")


@pytest.mark.parametrize("route", ["af/rucio/scopes", "af/rucio/search?scope=cms&name=x"])
async def test_garbage_has_a_sentence_on_every_route(
    odd_rucio: OddRucio, odd_lab: StartRucioLab, route: str
) -> None:
    async def behave(request: OddRequest) -> None:
        await request.begin()
        await request.rows("{]")
        await request.end()

    odd_rucio.behaviour = behave
    lab = await odd_lab()
    assert await refusal(lab, route) == (502, "rucio-garbage")


async def test_something_that_speaks_no_http_has_a_sentence(
    odd_rucio: OddRucio, odd_lab: StartRucioLab
) -> None:
    async def behave(request: OddRequest) -> None:
        await request.send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")

    odd_rucio.behaviour = behave
    lab = await odd_lab()
    assert await refusal(lab) == (503, "rucio-unreachable")


@pytest.mark.usefixtures("hasty")
async def test_an_endless_line_ends_with_a_sentence(
    odd_rucio: OddRucio, odd_lab: StartRucioLab
) -> None:
    async def behave(request: OddRequest) -> None:
        await request.begin()
        while True:
            await request.send(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")

    odd_rucio.behaviour = behave
    lab = await odd_lab()
    assert await refusal(lab) == (502, "rucio-garbage")


async def test_an_endless_list_ends_as_truncated(
    odd_rucio: OddRucio, odd_lab: StartRucioLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("af_labextension.rucio.handlers.MOST_CHILDREN", 1000)
    closed = asyncio.Event()

    async def behave(request: OddRequest) -> None:
        await request.begin()
        with suppress(ConnectionError):
            while True:
                await request.rows(*map(file, range(300)))
        closed.set()

    odd_rucio.behaviour = behave
    lab = await odd_lab()
    *rows, last = rows_of((await lab.fetch(FILES)).body)
    assert len(rows) == 1000
    assert last == {"done": True, "count": 1000, "truncated": True}
    await asyncio.wait_for(closed.wait(), 30)


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        (400, "InvalidObject", (502, "rucio-refused")),
        (401, "AccessDenied", (403, "rucio-forbidden")),
        (403, "AccessDenied", (403, "rucio-forbidden")),
        (404, "DataIdentifierNotFound", (404, "rucio-not-found")),
        (406, "", (502, "rucio-refused")),
        (409, "UnsupportedOperation", (502, "rucio-refused")),
        (429, "", (503, "rucio-trouble")),
        (500, "DatabaseException", (503, "rucio-trouble")),
        (503, "", (503, "rucio-trouble")),
        (204, "", (502, "rucio-refused")),
    ],
)
async def test_each_status_has_its_sentence(
    odd_rucio: OddRucio,
    odd_lab: StartRucioLab,
    status: int,
    kind: str,
    expected: tuple[int, str],
) -> None:
    async def behave(request: OddRequest) -> None:
        if status == 204:
            await request.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        else:
            await request.refuse(status, kind)

    odd_rucio.behaviour = behave
    lab = await odd_lab()
    assert await refusal(lab) == expected
    assert len(odd_rucio.seen) == 1


async def test_no_redirect_is_followed_with_a_token(
    odd_rucio: OddRucio, odd_lab: StartRucioLab
) -> None:
    async def behave(request: OddRequest) -> None:
        head = f"HTTP/1.1 303 See Other\r\nLocation: {odd_rucio.url}/x\r\nContent-Length: 0\r\n\r\n"
        await request.send(head.encode())

    odd_rucio.behaviour = behave
    lab = await odd_lab()
    assert await refusal(lab) == (502, "rucio-refused")
    assert len(odd_rucio.seen) == 1


async def test_a_refused_token_is_replaced_once_and_no_more(
    odd_rucio: OddRucio, odd_lab: StartRucioLab
) -> None:
    async def behave(request: OddRequest) -> None:
        await request.refuse(401, "CannotAuthenticate")

    odd_rucio.behaviour = behave
    lab = await odd_lab(["first-token", "second-token", "third-token"])
    assert await refusal(lab) == (403, "rucio-token-refused")
    assert [request.token for request in odd_rucio.seen] == ["first-token", "second-token"]


async def test_rucios_word_stands_when_there_is_no_other_token(
    odd_rucio: OddRucio, odd_lab: StartRucioLab, rucio_hub: RucioHub
) -> None:
    async def behave(request: OddRequest) -> None:
        rucio_hub.fault = 503
        await request.refuse(401, "CannotAuthenticate")

    odd_rucio.behaviour = behave
    lab = await odd_lab()
    assert await refusal(lab) == (403, "rucio-token-refused")
    assert len(odd_rucio.seen) == 1


async def test_no_token_reaches_log_or_browser(
    odd_rucio: OddRucio, odd_lab: StartRucioLab, caplog: pytest.LogCaptureFixture
) -> None:
    async def behave(request: OddRequest) -> None:
        # the token comes back in what Rucio says
        await request.refuse(500, "DatabaseException", f"bad token {request.token}")

    caplog.set_level("DEBUG")
    odd_rucio.behaviour = behave
    lab = await odd_lab()
    answer = await lab.fetch(FILES)
    assert odd_rucio.seen[0].token == GOOD
    assert GOOD not in caplog.text
    assert GOOD.encode() not in answer.body


async def opened(
    lab: LabServer, route: str = FILES
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Ask for something as a browser does, on a connection of our own."""
    host, port = lab.url.split("/")[2].split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    target = f"/user/a%40b/{route}&token=lab-access-token"
    writer.write(f"GET {target} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    return reader, writer


@pytest.mark.parametrize("begun", [False, True], ids=["before-the-answer", "in-the-middle"])
async def test_rucio_is_left_in_peace_when_the_browser_leaves(
    odd_rucio: OddRucio, odd_lab: StartRucioLab, begun: bool
) -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def behave(request: OddRequest) -> None:
        if begun:
            await request.begin()
            await request.rows(file(1))
        asked.set()
        await request.gone()
        left.set()

    odd_rucio.behaviour = behave
    lab = await odd_lab()
    reader, writer = await opened(lab)
    await asyncio.wait_for(asked.wait(), 30)
    if begun:
        assert (await reader.read(20)).startswith(b"HTTP/1.1 200")
    writer.transport.abort()
    with suppress(ConnectionError):
        await writer.wait_closed()
    await asyncio.wait_for(left.wait(), 30)
    assert (await lab.fetch("af/rucio")).code == 200


async def test_code_is_given_up_when_the_browser_leaves(
    odd_rucio: OddRucio, odd_lab: StartRucioLab
) -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def behave(request: OddRequest) -> None:
        asked.set()
        await request.gone()
        left.set()

    odd_rucio.behaviour = behave
    lab = await odd_lab()
    _reader, writer = await opened(lab, "af/rucio/code?scope=cms&name=/d&type=dataset")
    await asyncio.wait_for(asked.wait(), 30)
    writer.transport.abort()
    await asyncio.wait_for(left.wait(), 30)


async def test_rucio_is_slowed_down_when_the_browser_is_slow(
    odd_rucio: OddRucio, odd_lab: StartRucioLab
) -> None:
    sent, stuck = 0, asyncio.Event()

    async def behave(request: OddRequest) -> None:
        nonlocal sent
        await request.begin()
        many = [file(number) for number in range(1000)]
        while sent < 500:
            try:
                await asyncio.wait_for(request.rows(*many), 1.0)
            except TimeoutError:
                stuck.set()
                return
            sent += 1

    odd_rucio.behaviour = behave
    lab = await odd_lab()
    _reader, writer = await opened(lab)
    # the browser reads nothing: what is on the way is all that Rucio can send
    await asyncio.wait_for(stuck.wait(), 20)
    assert sent < 400
    writer.transport.abort()


@pytest.mark.usefixtures("hasty")
async def test_open_lists_are_bounded_and_come_free_again(
    odd_rucio: OddRucio, odd_lab: StartRucioLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("af_labextension.rucio.client.STREAMS", 2)
    go_on, both = asyncio.Event(), asyncio.Event()

    async def behave(request: OddRequest) -> None:
        await request.begin()
        if len(odd_rucio.seen) == 2:
            both.set()
        # keeps talking, so that it is not taken for silent
        while not go_on.is_set():
            await request.rows(file(1))
            with suppress(TimeoutError):
                await asyncio.wait_for(go_on.wait(), 0.1)
        await request.end()

    odd_rucio.behaviour = behave
    lab = await odd_lab()
    two = [asyncio.create_task(lab.fetch(FILES)) for _ in range(2)]
    await asyncio.wait_for(both.wait(), 30)
    assert await refusal(lab) == (429, "rucio-busy")
    go_on.set()
    assert [answer.code for answer in await asyncio.gather(*two)] == [200, 200]
    assert (await lab.fetch(FILES)).code == 200
