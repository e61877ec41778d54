"""A store behind an XCache, and clients of the Lab's own that browse it.

- ``lab_cache`` fills the store of `testbed.xrootd_6.XCache` below ``/store/cms/labxrootd``;
- ``lab_door`` is that cache as a door of a Lab;
- ``xrootd_client(tokens, patience=…)`` makes a client that is closed after the test;
- ``await xrootd_lab()`` starts a Lab whose hub knows the door.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from af_labextension.data.doors import Door, door_from
from af_labextension.data.xrootd.client import XRootD
from af_labextension.data.xrootd.process import Limits
from af_labextension.errors import LabError
from af_labextension.secret import Secret
from af_labextension.tokens.model import Token, Wanted
from af_labextension.tokens.provider import CachingTokenProvider
from testbed.lab_hub import LabHub, lab_config

if TYPE_CHECKING:
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
"""Names with everything that addresses and shells trip over."""

QUESTIONS = ["q?x=1", "f?authz=Bearer%20x"]
"""Names that no XRootD address can hold."""

MANY, SIZED = 30_000, 1000
"""Files in the folders ``many`` and ``sized``."""


@pytest.fixture(scope="session")
def lab_cache(xcache: XCache) -> Stack:
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
def lab_door(lab_cache: Stack) -> Door:
    """Give the cache as a door."""
    url = f"root://127.0.0.1:{lab_cache.port}//store"
    return door_from({"name": "cache", "title": "Our cache", "url": url, "audience": "storage"})


@pytest.fixture
def xrootd_environment(lab_cache: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what a Lab of the facility has."""
    monkeypatch.setenv("X509_CERT_DIR", str(lab_cache.layout.certificates))
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "planted-secret-of-the-lab")


def good_token(lab_cache: Stack) -> str:
    """Return a token for the folder of CMS."""
    return lab_cache.token("storage.read:/store/cms")


class Tokens:
    """Hands out tokens in a row, the last one for ever; ``asked`` counts."""

    def __init__(self, *values: str, age: float = 0.0, scope: str = "") -> None:
        self.values = list(values)
        self._scope = scope
        self.asked = 0
        self._age = age

    async def __call__(self, wanted: Wanted) -> Token:
        """Give the next token."""
        self.asked += 1
        value = self.values.pop(0) if len(self.values) > 1 else self.values[0]
        now = time.time()
        return Token(Secret(value), wanted.audience, now - self._age, now + 3600, self._scope)


MakeClient = Callable[..., XRootD]


@pytest_asyncio.fixture
async def xrootd_client(lab_cache: Stack, xrootd_environment: None) -> AsyncIterator[MakeClient]:
    """Give a function that makes a client: ``xrootd_client(tokens, patience=…, idle=…)``."""
    made: list[XRootD] = []

    def client(tokens: Tokens | None = None, **limits: Any) -> XRootD:
        made.append(
            XRootD(CachingTokenProvider(tokens or Tokens(good_token(lab_cache))), Limits(**limits))
        )
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
    """Return the names in a folder."""
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
    """Return the process id of the running worker."""
    pid = client.worker("storage").pid
    assert pid is not None
    return pid


@pytest.fixture
def xrootd_lab(
    lab_cache: Stack, lab_door: Door, xrootd_environment: None, lab_hub: LabHub, start_lab: StartLab
) -> Callable[[], Awaitable[LabServer]]:
    """Give a function that starts a Lab whose hub knows the cache."""

    async def start() -> LabServer:
        lab_hub.tokens = [good_token(lab_cache)]
        entry = {"name": "cache", "title": "Our cache", "url": lab_door.url, "audience": "storage"}
        lab_hub.config = lab_config(storage=[entry])
        return await start_lab(lab_hub)

    return start
