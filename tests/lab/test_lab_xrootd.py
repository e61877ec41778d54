"""Browsing an XCache with tokens through the Lab: the real servers, the real bindings."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from af_labextension.data.doors import Door, door_from
from af_labextension.data.xrootd.client import XRootD
from af_labextension.data.xrootd.process import Limits
from af_labextension.data.xrootd.rules import AUTO_STAT
from af_labextension.errors import LabError
from af_labextension.secret import Secret
from af_labextension.tokens.model import Token
from af_labextension.tokens.provider import HubTokenProvider
from testbed.iam import free_ports
from testbed.lab_hub import LabHub, lab_config
from testbed.lab_server import LAB_TOKEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from testbed.lab_server import LabServer, StartLab
    from testbed.xrootd import Stack
    from testbed.xrootd_6 import XCache

ODD = [
    "100%.root",
    "a%2fb",
    "a#b.root",
    "two words.root",
    " lead",
    "é…日本.root",
    "<script>alert(1)",
    "a+b&c;d",
    "x&authz=1",
    "back\\slash",
    "quote'\"",
    "c:d@e",
    "x[1]*{y}",
    "~t",
]
QUESTIONS = ["q?x=1", "f?authz=Bearer%20x"]
MANY = 30_000
SIZED = 1000


@pytest.fixture(scope="session")
def cache(xcache: XCache) -> Stack:
    """Fill the store that the cache shows."""
    store = xcache.stack.layout.store
    folder = store / "cms" / "labxrootd"
    for name in ("small/sub", "odd", "many", "sized", "bytes"):
        (folder / name).mkdir(parents=True)
    for number in range(8):
        (folder / "small" / f"f{number}").write_bytes(b"x" * number)
    for name in ODD + QUESTIONS:
        (folder / "odd" / name).mkdir()
        (folder / "odd" / name / name).write_text(name)
    for name, count in (("many", MANY), ("sized", SIZED)):
        for number in range(count):
            os.mknod(folder / name / f"file_{number:06d}_0123456789abcdef0123456789.root")
    os.mknod(os.fsencode(folder / "bytes") + b"/\xff\xfe.root")
    (store / "atlas" / "labxrootd").mkdir(parents=True)
    (store / "atlas" / "labxrootd" / "a").touch()
    return xcache.stack


@pytest.fixture
def door(cache: Stack) -> Door:
    """Give the cache as a door."""
    url = f"root://127.0.0.1:{cache.port}//store"
    return door_from({"name": "cache", "title": "Our cache", "url": url, "audience": "storage"})


@pytest.fixture(autouse=True)
def environment(cache: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what a Lab of the facility has."""
    monkeypatch.setenv("X509_CERT_DIR", str(cache.layout.certificates))
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "planted-secret-of-the-lab")


def good_token(cache: Stack) -> str:
    return cache.token("storage.read:/store/cms")


class Tokens:
    """Hands out tokens in a row, the last one for ever; ``asked`` counts."""

    def __init__(self, *values: str, age: float = 0.0, scope: str = "") -> None:
        self.values = list(values)
        self._scope = scope
        self.asked = 0
        self._age = age

    async def __call__(self, audience: str) -> Token:
        """Give the next token."""
        self.asked += 1
        value = self.values.pop(0) if len(self.values) > 1 else self.values[0]
        now = time.time()
        return Token(Secret(value), audience, now - self._age, now + 3600, self._scope)


Make = Any


@pytest_asyncio.fixture
async def make(cache: Stack) -> AsyncIterator[Callable[..., XRootD]]:
    """Give a function that makes a client: ``make(tokens, patience=…, idle=…)``."""
    made: list[XRootD] = []

    def client(tokens: Tokens | None = None, **limits: Any) -> XRootD:
        made.append(XRootD(HubTokenProvider(tokens or Tokens(good_token(cache))), Limits(**limits)))
        return made[-1]

    yield client
    for each in made:
        await each.close()


async def rows(client: XRootD, door: Door, path: str) -> list[dict[str, Any]]:
    """Return all rows of a folder."""
    found: list[dict[str, Any]] = []
    async with aclosing(client.pages(door, path)) as pages:
        async for page in pages:
            found += [json.loads(line) for line in page.ndjson.splitlines()]
    return found


async def names(client: XRootD, door: Door, path: str) -> set[str]:
    return {row["name"] for row in await rows(client, door, path)}


async def refusal(client: XRootD, door: Door, path: str) -> LabError:
    """Return the error of a listing that fails."""
    with pytest.raises(LabError) as caught:
        await rows(client, door, path)
    return caught.value


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is awaited happens in other processes
            await asyncio.sleep(0.01)


def worker_file(client: XRootD, name: str) -> str:
    """Read a file of the worker's ``/proc``."""
    return Path(f"/proc/{worker_pid(client)}/{name}").read_text()


def worker_pid(client: XRootD) -> int:
    pid = client.worker("storage").pid
    assert pid is not None
    return pid


# --- through the Lab ------------------------------------------------------------------------------


@pytest.fixture
def lab(cache: Stack, door: Door, lab_hub: LabHub, start_lab: StartLab) -> Callable[[], Any]:
    """Give a function that starts a Lab whose hub knows the cache."""

    async def start() -> LabServer:
        lab_hub.tokens = [good_token(cache)]
        entry = {"name": "cache", "title": "Our cache", "url": door.url, "audience": "storage"}
        lab_hub.config = lab_config(storage=[entry])
        return await start_lab(lab_hub)

    return start


async def test_a_small_folder_is_complete_at_once(lab: Any, door: Door) -> None:
    server = await lab()
    doors = json.loads((await server.fetch("af/storage")).body)["doors"]
    assert [each["kind"] for each in doors] == ["xrootd"]
    types = {"unknown"}
    async with asyncio.timeout(20):
        while "unknown" in types:  # on a busy machine connecting may take too long at first
            answer = await server.fetch("af/storage/cache/list", path="/cms/labxrootd/small")
            *found, last = [json.loads(line) for line in answer.body.splitlines()]
            types = {row["type"] for row in found}
    assert last == {"done": True, "count": 9, "left_out": 0}
    by_name = {row["name"]: row for row in found}
    assert by_name["sub"]["type"] == "directory"
    assert by_name["sub"]["size"] is None
    assert by_name["f5"]["type"] == "file"
    assert by_name["f5"]["size"] == 5
    assert by_name["f5"]["url"] == f"{door.url}/cms/labxrootd/small/f5"
    assert abs(by_name["f5"]["modified"] - time.time()) < 600


async def stat(server: LabServer, body: object) -> tuple[int, Any]:
    """Ask for sizes through the Lab."""
    answer = await server.client.fetch(
        f"{server.url}af/storage/cache/stat",
        method="POST",
        body=json.dumps(body),
        headers={"Authorization": f"token {LAB_TOKEN}"},
        raise_error=False,
    )
    return answer.code, json.loads(answer.body)


async def test_sizes_come_on_demand_when_the_names_are_many(
    lab: Any, cache: Stack, xcache: XCache
) -> None:
    server = await lab()
    before = cache.meter.counters().up
    answer = await server.fetch("af/storage/cache/list", path="/cms/labxrootd/sized")
    *found, last = [json.loads(line) for line in answer.body.splitlines()]
    assert last["count"] == SIZED
    at_once = xcache.version >= AUTO_STAT
    assert {row["type"] for row in found} == {"file" if at_once else "unknown"}
    # a question to the origin has 24 bytes and more: it was not asked for each name
    assert cache.meter.counters().up - before < 10 * SIZED
    chosen = sorted(row["name"] for row in found)[:200]
    code, body = await stat(
        server,
        {"path": "/cms/labxrootd/sized", "names": [*chosen[:199], "gone", "x?authz=1"][:200]},
    )
    assert code == 200
    assert [entry["name"] for entry in body["entries"]] == chosen[:199]
    assert {(entry["type"], entry["size"]) for entry in body["entries"]} == {("file", 0)}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"path": "/..", "names": ["a"]}, "bad-path"),
        ({"path": 3, "names": ["a"]}, "bad-path"),
        ([], "bad-path"),
        ({"path": "/", "names": "abc"}, "bad-names"),
        ({"path": "/", "names": ["../atlas"]}, "bad-names"),
        ({"path": "/", "names": ["a\nb"]}, "bad-names"),
        ({"path": "/", "names": ["a"] * 201}, "bad-names"),
        ({"path": "/?authz=x", "names": ["a"]}, "bad-name"),
    ],
)
async def test_a_question_for_sizes_is_refused_when_it_makes_no_sense(
    lab: Any, body: object, code: str
) -> None:
    status, answer = await stat(await lab(), body)
    assert (status, answer["code"]) == (400, code)


@pytest.mark.parametrize("library", ["uproot", "rdataframe", "coffea"])
async def test_code_is_given_for_each_library(lab: Any, door: Door, library: str) -> None:
    server = await lab()
    answer = await server.fetch("af/storage/cache/code", path="/cms/a.root", library=library)
    body = json.loads(answer.body)
    assert body["url"] == f"{door.url}/cms/a.root"
    assert repr(body["url"]) in body["code"]
    compile(body["code"], "cell", "exec")


async def test_code_is_refused_when_nobody_knows_the_library(lab: Any) -> None:
    server = await lab()
    answer = await server.fetch("af/storage/cache/code", path="/cms/a.root", library="os")
    assert (answer.code, json.loads(answer.body)["code"]) == (400, "unknown-library")


async def test_no_token_goes_in_through_a_name(lab: Any, cache: Stack) -> None:
    server = await lab()
    smuggled = cache.token("storage.read:/")
    for path in (f"/atlas?authz=Bearer%20{smuggled}", f"/atlas/?&authz={smuggled}"):
        for route in ("list", "code"):
            answer = await server.fetch(f"af/storage/cache/{route}", path=path)
            assert answer.code == 400
            assert json.loads(answer.body)["code"] == "bad-name"
        _, body = await stat(server, {"path": "/", "names": [path.lstrip("/").replace("/", "")]})
        assert body["entries"] == []
    assert smuggled not in cache.log("xcache")


async def test_the_listing_ends_when_the_browser_leaves(lab: Any, cache: Stack) -> None:
    server = await lab()
    await server.fetch("af/storage/cache/list", path="/cms/labxrootd/small")
    worker = server.app.web_app.settings["af_sources"].xrootd.worker("storage")
    cache.meter.set(delay=1.0)
    try:
        address = urlsplit(server.url)
        _, browser = await asyncio.open_connection(address.hostname, address.port)
        browser.write(
            f"GET {address.path}af/storage/cache/list?path=/cms/labxrootd/many HTTP/1.1\r\n"
            f"Host: {address.netloc}\r\nAuthorization: token {LAB_TOKEN}\r\n\r\n".encode()
        )
        await until(lambda: worker.requests == 1)
        browser.close()
        await until(lambda: worker.requests == 0, seconds=0.9)
    finally:
        cache.meter.set(delay=0.0)


# --- listings -------------------------------------------------------------------------------------


async def test_many_names_come_quickly_and_in_pages(make: Make, door: Door) -> None:
    client = make()
    await rows(client, door, "/cms/labxrootd/small")
    began = time.perf_counter()
    async with aclosing(client.pages(door, "/cms/labxrootd/many")) as pages:
        counts = [page.count async for page in pages]
    took = time.perf_counter() - began
    assert sum(counts) == MANY
    assert max(counts) <= 1000
    assert counts[0] < 200  # the first rows did not wait for more
    assert took < 2.0, took  # 0.25 s on a quiet machine
    status = worker_file(client, "status").splitlines()
    peak = next(line for line in status if line.startswith("VmHWM"))
    assert int(peak.split()[1]) < 64 * 1024


async def test_pages_wait_when_nobody_takes_them(make: Make, door: Door) -> None:
    client = make()
    async with aclosing(client.pages(door, "/cms/labxrootd/many")) as pages:
        await anext(pages)
        # another listing runs past the one that waits
        assert len(await rows(client, door, "/cms/labxrootd/small")) == 9
        assert client.worker("storage").waiting_pages <= 4
        rest = [page.count async for page in pages]
    assert len(rest) > 20


async def test_odd_names_are_listed_and_opened_as_they_are(
    make: Make, door: Door, cache: Stack
) -> None:
    client = make()
    found = await rows(client, door, "/cms/labxrootd/odd")
    assert sorted(row["name"] for row in found) == sorted(ODD)
    for name in ODD:
        (row,) = await rows(client, door, f"/cms/labxrootd/odd/{name}")
        assert row["name"] == name
        assert row["url"] == f"{door.url}/cms/labxrootd/odd/{name}/{name}"
        (entry,) = await client.stat(door, f"/cms/labxrootd/odd/{name}", [name])
        assert (entry["name"], entry["type"]) == (name, "file")
        assert entry["size"] == len(name.encode())


async def test_a_huge_folder_is_cut_and_its_rest_counted(make: Make, door: Door) -> None:
    count = left_out = 0
    async for page in make(rows=5000).pages(door, "/cms/labxrootd/many"):
        count += page.count
        left_out = page.left_out
    assert (count, left_out) == (5000, MANY - 5000)


async def test_a_folder_is_known_as_one_when_the_cache_holds_files_of_it(
    make: Make, door: Door, cache: Stack
) -> None:
    path = "/store/cms/labxrootd/cached/inner/file"
    cache.write(path, b"content")
    assert cache.read(path, good_token(cache)) == b"content"
    client = make()
    (entry,) = await client.stat(door, "/cms/labxrootd/cached", ["inner"])
    assert entry["type"] == "directory"
    assert [row["name"] for row in await rows(client, door, "/cms/labxrootd/cached/inner")] == [
        "file"
    ]


async def test_names_that_no_address_can_hold_are_counted(make: Make, door: Door) -> None:
    left_out = 0
    async for page in make().pages(door, "/cms/labxrootd/odd"):
        left_out = page.left_out
    assert left_out == len(QUESTIONS)


async def test_requests_do_not_wait_for_each_other(make: Make, door: Door, cache: Stack) -> None:
    client = make()
    folders = [f"/cms/labxrootd/odd/{name}" for name in ODD[:4]]
    # connections are made once
    await asyncio.gather(*(rows(client, door, folder) for folder in folders))
    cache.meter.set(delay=0.1)
    try:
        began = time.perf_counter()
        await rows(client, door, folders[0])
        one = time.perf_counter() - began
        began = time.perf_counter()
        await asyncio.gather(*(rows(client, door, folder) for folder in folders))
        four = time.perf_counter() - began
    finally:
        cache.meter.set(delay=0.0)
    assert one >= 0.2
    assert four < 2.5 * one


async def test_the_way_to_a_grant_is_shown_when_the_top_may_not_be_listed(
    make: Make, door: Door, cache: Stack
) -> None:
    client = make(Tokens(good_token(cache), scope="storage.read:/store/cms"))
    assert await rows(client, door, "") == [
        {
            "name": "cms",
            "type": "directory",
            "size": None,
            "modified": None,
            "url": f"{door.url}/cms",
        }
    ]
    assert (await refusal(client, door, "/atlas")).code == "storage-forbidden"


async def test_a_door_is_opened_when_it_asks_for_tls_by_its_name(make: Make, door: Door) -> None:
    secure = Door(door.name, door.title, door.url.replace("root:", "roots:"), door.audience)
    assert len(await rows(make(), secure, "/cms/labxrootd/small")) == 9


# --- refusals and faults --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "answer", "words"),
    [
        ("/cms/labxrootd/none", (404, "no-such-folder"), "/cms/labxrootd/none in Our cache"),
        ("/cms/labxrootd/small/f1", (400, "not-a-folder"), "is a file"),
        ("/atlas/labxrootd", (403, "storage-forbidden"), "your groups"),
        ("/cms/labxrootd/bytes", (502, "storage-names"), "not UTF-8"),
        ("/cms/x?y=1", (400, "bad-name"), "question mark"),
    ],
)
async def test_the_user_is_told_why_a_folder_is_not_shown(
    make: Make, door: Door, path: str, answer: tuple[int, str], words: str
) -> None:
    error = await refusal(make(), door, path)
    assert (error.status, error.code) == answer
    assert words in error.message


async def test_the_user_is_told_when_nobody_listens(make: Make) -> None:
    (port,) = free_ports(1)
    error = await refusal(
        make(), Door("x", "Our cache", f"root://127.0.0.1:{port}//store", "storage"), "/cms"
    )
    assert (error.status, error.code) == (503, "unreachable")


async def test_nobody_waits_for_the_others_when_a_server_says_nothing(make: Make) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    mute = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with mute:
        port = mute.sockets[0].getsockname()[1]
        door = Door("x", "Our cache", f"root://127.0.0.1:{port}//store", "storage")
        client = make(patience=2.0)
        began = time.monotonic()
        errors = await asyncio.gather(*(refusal(client, door, f"/{path}") for path in "abcdef"))
        assert time.monotonic() - began < 6.0
        assert {error.code for error in errors} == {"storage-silent"}
        await client.close()


async def test_the_user_is_told_when_the_certificate_is_not_trusted(
    make: Make, door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("X509_CERT_DIR", str(tmp_path))
    error = await refusal(make(), door, "/cms")
    assert (error.status, error.code) == (503, "untrusted-certificate")


async def test_the_user_is_told_when_the_storage_behind_the_cache_is_away(
    make: Make, door: Door, cache: Stack
) -> None:
    client = make(patience=1.5)
    await rows(client, door, "/cms/labxrootd/small")
    cache.meter.set(delay=30.0)
    try:
        began = time.monotonic()
        error = await refusal(client, door, "/cms/labxrootd/odd")
        assert time.monotonic() - began < 10
    finally:
        cache.meter.set(delay=0.0)
        cache.meter.hang_up()
    assert (error.status, error.code) == (503, "storage-silent")
    assert "Files that are in the cache already can still be read" in error.message
    async with asyncio.timeout(60):
        while not await _is_listed(client, door):
            pass  # the cache needs a moment to notice that its origin is back


async def _is_listed(client: XRootD, door: Door) -> bool:
    """Tell whether the small folder can be seen; "silent" is the only excuse."""
    try:
        return len(await rows(client, door, "/cms/labxrootd/small")) == 9
    except LabError as trouble:
        if trouble.code != "storage-silent":
            raise
        return False


# --- tokens ---------------------------------------------------------------------------------------


async def test_one_new_token_is_tried_when_the_first_is_refused(
    make: Make, door: Door, cache: Stack
) -> None:
    tokens = Tokens("abc.def.ghi", good_token(cache))
    client = make(tokens)
    assert len(await rows(client, door, "/cms/labxrootd/small")) == 9
    assert tokens.asked == 2


async def test_the_user_is_told_when_no_token_is_taken(make: Make, door: Door) -> None:
    tokens = Tokens("abc.def.1", "abc.def.2", "abc.def.3")
    error = await refusal(make(tokens), door, "/cms/labxrootd/small")
    assert (error.status, error.code) == (403, "storage-token-refused")
    assert "Log in again" in error.message
    assert tokens.asked == 2


async def test_a_new_token_gets_new_connections(make: Make, door: Door, cache: Stack) -> None:
    # what a user may see has grown since the old token was made
    tokens = Tokens(good_token(cache), cache.token("storage.read:/store"), age=60.0)
    client = make(tokens)
    assert len(await rows(client, door, "/cms/labxrootd/small")) == 9
    assert tokens.asked == 1
    assert await names(client, door, "/atlas/labxrootd") == {"a"}
    assert tokens.asked == 2


async def test_listing_goes_on_when_tokens_live_for_seconds(
    make: Make, door: Door, cache: Stack
) -> None:
    class ShortTokens(Tokens):
        async def __call__(self, audience: str) -> Token:
            """Give a token that lives for two seconds and a bit."""
            self.asked += 1
            now = time.time()
            value = cache.token("storage.read:/store/cms", exp=int(now) + 3)
            return Token(Secret(value), audience, now, now + 2)

    tokens = ShortTokens("")
    client = make(tokens)
    ends = time.monotonic() + 5
    while time.monotonic() < ends:
        assert len(await rows(client, door, "/cms/labxrootd/small")) == 9
        await asyncio.sleep(0.05)
    assert 3 <= tokens.asked <= 6


async def test_a_fresh_token_is_not_replaced_when_a_folder_is_forbidden(
    make: Make, door: Door, cache: Stack
) -> None:
    tokens = Tokens(good_token(cache))
    client = make(tokens)
    for _ in range(3):
        assert (await refusal(client, door, "/atlas/labxrootd")).code == "storage-forbidden"
    assert tokens.asked == 1


async def test_the_token_is_nowhere_but_in_memory(
    make: Make, door: Door, cache: Stack, capfd: pytest.CaptureFixture[str]
) -> None:
    token = good_token(cache)
    client = make(Tokens(token))
    await rows(client, door, "/cms/labxrootd/small")
    process = Path(f"/proc/{worker_pid(client)}")
    for name in ("cmdline", "environ"):
        content = (process / name).read_bytes()
        assert token.encode() not in content
        assert b"planted-secret-of-the-lab" not in content
    opened = [str(link.readlink()) for link in (process / "fd").iterdir() if int(link.name) > 2]
    assert [path for path in opened if path.startswith("/memfd:token")]
    assert not [path for path in opened if path.startswith(("/tmp", "/dev/shm", "/var"))]
    assert token not in cache.log("xcache")
    assert token not in "".join(capfd.readouterr())


# --- the worker -----------------------------------------------------------------------------------


async def test_the_next_listing_works_when_the_worker_was_killed(make: Make, door: Door) -> None:
    client = make()
    assert len(await rows(client, door, "/cms/labxrootd/small")) == 9
    first = worker_pid(client)
    os.kill(first, signal.SIGKILL)
    assert len(await rows(client, door, "/cms/labxrootd/small")) == 9
    assert worker_pid(client) != first


async def test_a_listing_ends_with_a_sentence_when_the_worker_is_killed_in_its_middle(
    make: Make, door: Door
) -> None:
    client = make()
    async with aclosing(client.pages(door, "/cms/labxrootd/many")) as pages:
        await anext(pages)
        os.kill(worker_pid(client), signal.SIGKILL)
        with pytest.raises(LabError) as caught:
            async for _ in pages:
                pass
    assert caught.value.code == "xrootd-worker"
    assert len(await rows(client, door, "/cms/labxrootd/small")) == 9


async def test_a_worker_that_is_stuck_is_replaced(make: Make, door: Door) -> None:
    client = make(patience=0.5)
    await rows(client, door, "/cms/labxrootd/small")
    stuck = worker_pid(client)
    os.kill(stuck, signal.SIGSTOP)
    assert len(await rows(client, door, "/cms/labxrootd/small")) == 9
    assert worker_pid(client) != stuck


async def test_an_idle_worker_ends_and_comes_back(make: Make, door: Door) -> None:
    client = make(idle=0.3)
    await rows(client, door, "/cms/labxrootd/small")
    first = worker_pid(client)
    await until(lambda: client.worker("storage").pid is None)
    assert len(await rows(client, door, "/cms/labxrootd/small")) == 9
    assert worker_pid(client) != first


async def test_the_worker_has_limits(make: Make, door: Door) -> None:
    client = make()
    await rows(client, door, "/cms/labxrootd/small")
    limits = worker_file(client, "limits").splitlines()
    by_name = {line[:25].strip(): line[25:].split() for line in limits}
    assert int(by_name["Max address space"][1]) == 2 * 1024**3
    assert by_name["Max core file size"][1] == "0"


LAB = """
import asyncio, sys
from af_labextension.data.xrootd.process import Limits, WorkerProcess
from af_labextension.data.xrootd.protocol import StatNames

async def main():
    worker = WorkerProcess(with_token=False, limits=Limits())
    async with worker.exchange(None, lambda number: StatNames(number, "root://127.0.0.1:1", "/", ())):
        print(worker.pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def test_the_worker_ends_when_the_lab_is_killed() -> None:
    lab = subprocess.Popen([sys.executable, "-c", textwrap.dedent(LAB)], stdout=subprocess.PIPE)
    assert lab.stdout is not None
    with lab.stdout:
        worker = int(lab.stdout.readline())
    assert Path(f"/proc/{worker}").exists()
    lab.kill()
    lab.wait()
    deadline = time.monotonic() + 10
    while _runs(worker):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    """Tell whether a process runs; one that only waits to be noticed does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_the_user_is_told_when_the_image_has_no_bindings(
    make: Make, door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyxrootd").mkdir()
    (tmp_path / "pyxrootd" / "__init__.py").write_text("raise ImportError('not installed')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    error = await refusal(make(), door, "/cms")
    assert error.code == "xrootd-missing"
    assert "package xrootd" in error.message
