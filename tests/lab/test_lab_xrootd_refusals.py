"""What the user is told when an XRootD door refuses, and what a new token cures."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from af_labextension.data.doors import Door
from af_labextension.errors import LabError
from af_labextension.secret import Secret
from af_labextension.tokens.model import Token, Wanted
from testbed.iam import free_ports
from testbed.lab_xrootd import (
    MakeClient,
    Tokens,
    good_token,
    names,
    refusal,
    rows,
    worker_pid,
)

if TYPE_CHECKING:
    from af_labextension.data.xrootd.client import XRootD
    from testbed.xrootd import Stack


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
    xrootd_client: MakeClient, lab_door: Door, path: str, answer: tuple[int, str], words: str
) -> None:
    error = await refusal(xrootd_client(), lab_door, path)
    assert (error.status, error.code) == answer
    assert words in error.message


async def test_the_user_is_told_when_nobody_listens(xrootd_client: MakeClient) -> None:
    (port,) = free_ports(1)
    error = await refusal(
        xrootd_client(),
        Door("x", "Our cache", f"root://127.0.0.1:{port}//store", "storage"),
        "/cms",
    )
    assert (error.status, error.code) == (503, "unreachable")


async def test_nobody_waits_for_the_others_when_a_server_says_nothing(
    xrootd_client: MakeClient,
) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    mute = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with mute:
        port = mute.sockets[0].getsockname()[1]
        lab_door = Door("x", "Our cache", f"root://127.0.0.1:{port}//store", "storage")
        client = xrootd_client(patience=2.0)
        began = time.monotonic()
        errors = await asyncio.gather(*(refusal(client, lab_door, f"/{path}") for path in "abcdef"))
        assert time.monotonic() - began < 10.0  # one after another: 12
        assert {error.code for error in errors} == {"storage-silent"}
        await client.close()


async def test_the_user_is_told_when_the_certificate_is_not_trusted(
    xrootd_client: MakeClient, lab_door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("X509_CERT_DIR", str(tmp_path))
    error = await refusal(xrootd_client(), lab_door, "/cms")
    assert (error.status, error.code) == (503, "untrusted-certificate")


async def test_the_user_is_told_when_the_storage_behind_the_cache_is_away(
    xrootd_client: MakeClient, lab_door: Door, lab_cache: Stack
) -> None:
    client = xrootd_client(patience=1.5)
    await rows(client, lab_door, "/cms/labxrootd/small")
    lab_cache.meter.set(delay=30.0)
    try:
        began = time.monotonic()
        error = await refusal(client, lab_door, "/cms/labxrootd/odd")
        assert time.monotonic() - began < 25  # the answer comes after 60
    finally:
        lab_cache.meter.set(delay=0.0)
        lab_cache.meter.hang_up()
    assert (error.status, error.code) == (503, "storage-silent")
    assert "Files that are in the cache already can still be read" in error.message
    async with asyncio.timeout(60):
        while not await _is_listed(client, lab_door):
            pass  # the cache needs a moment to notice that its origin is back


async def _is_listed(client: XRootD, lab_door: Door) -> bool:
    """Tell whether the small folder can be seen; "silent" is the only excuse."""
    try:
        return len(await rows(client, lab_door, "/cms/labxrootd/small")) == 9
    except LabError as trouble:
        if trouble.code != "storage-silent":
            raise
        return False


async def test_one_new_token_is_tried_when_the_first_is_refused(
    xrootd_client: MakeClient, lab_door: Door, lab_cache: Stack
) -> None:
    tokens = Tokens("abc.def.ghi", good_token(lab_cache))
    client = xrootd_client(tokens)
    assert len(await rows(client, lab_door, "/cms/labxrootd/small")) == 9
    assert tokens.asked == 2


async def test_the_user_is_told_when_no_token_is_taken(
    xrootd_client: MakeClient, lab_door: Door
) -> None:
    tokens = Tokens("abc.def.1", "abc.def.2", "abc.def.3")
    error = await refusal(xrootd_client(tokens), lab_door, "/cms/labxrootd/small")
    assert (error.status, error.code) == (403, "storage-token-refused")
    assert "Log in again" in error.message
    assert tokens.asked == 2


async def test_a_new_token_gets_new_connections(
    xrootd_client: MakeClient, lab_door: Door, lab_cache: Stack
) -> None:
    # what a user may see has grown since the old token was made
    tokens = Tokens(good_token(lab_cache), lab_cache.token("storage.read:/store"), age=60.0)
    client = xrootd_client(tokens)
    assert len(await rows(client, lab_door, "/cms/labxrootd/small")) == 9
    assert tokens.asked == 1
    assert await names(client, lab_door, "/atlas/labxrootd") == {"a"}
    assert tokens.asked == 2


async def test_listing_goes_on_when_tokens_live_for_seconds(
    xrootd_client: MakeClient, lab_door: Door, lab_cache: Stack
) -> None:
    class ShortTokens(Tokens):
        async def __call__(self, wanted: Wanted) -> Token:
            """Give a token that lives for two seconds and a bit."""
            self.asked += 1
            now = time.time()
            value = lab_cache.token("storage.read:/store/cms", exp=int(now) + 3)
            return Token(Secret(value), wanted.audience, now, now + 2)

    tokens = ShortTokens("")
    client = xrootd_client(tokens)
    ends = time.monotonic() + 5
    while time.monotonic() < ends:
        assert len(await rows(client, lab_door, "/cms/labxrootd/small")) == 9
        await asyncio.sleep(0.05)
    assert 3 <= tokens.asked <= 6


async def test_a_fresh_token_is_not_replaced_when_a_folder_is_forbidden(
    xrootd_client: MakeClient, lab_door: Door, lab_cache: Stack
) -> None:
    tokens = Tokens(good_token(lab_cache))
    client = xrootd_client(tokens)
    for _ in range(3):
        assert (await refusal(client, lab_door, "/atlas/labxrootd")).code == "storage-forbidden"
    assert tokens.asked == 1


async def test_the_token_is_nowhere_but_in_memory(
    xrootd_client: MakeClient, lab_door: Door, lab_cache: Stack, capfd: pytest.CaptureFixture[str]
) -> None:
    token = good_token(lab_cache)
    client = xrootd_client(Tokens(token))
    await rows(client, lab_door, "/cms/labxrootd/small")
    process = Path(f"/proc/{worker_pid(client)}")
    for name in ("cmdline", "environ"):
        content = (process / name).read_bytes()
        assert token.encode() not in content
        assert b"planted-secret-of-the-lab" not in content
    opened = [str(link.readlink()) for link in (process / "fd").iterdir() if int(link.name) > 2]
    assert [path for path in opened if path.startswith("/memfd:token")]
    assert not [path for path in opened if path.startswith(("/tmp", "/dev/shm", "/var"))]
    assert token not in lab_cache.log("xcache")
    assert token not in "".join(capfd.readouterr())
