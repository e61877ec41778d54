"""What crosses from the cache to the origin: the data's service identity, and nobody's token."""

from __future__ import annotations

import re
import secrets
import sys
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

from testbed.xrootd_6 import XCache, content
from testbed.xrootd_6_tokens import HELLO

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.xrootd import Stack

NAME = "8d1f0c52-7d5e-4c1b-93a5-somebody"
"""Who the tokens here are for."""

BINDINGS = """
import sys
from XRootD import client
from XRootD.client.flags import OpenFlags

status, found = client.FileSystem(sys.argv[1]).stat(sys.argv[2])
assert status.ok, status.message
with client.File() as file:
    status, _ = file.open(f"{sys.argv[1]}/{sys.argv[2]}", OpenFlags.READ)
    assert status.ok, status.message
    status, data = file.read(0, found.size)
    assert status.ok, status.message
    status, vectors = file.vector_read([(0, 4), (8, 4)])
    assert status.ok, status.message
sys.stdout.buffer.write(data)
"""


def new_file(stack: Stack) -> str:
    """Put a file there that nobody has read."""
    path = f"/store/cms/capture/{secrets.token_hex(6)}/hello.txt"
    stack.write(path, content(path))
    return path


def by_xrdcp(stack: Stack, path: str, token: str) -> bytes:
    """Read with xrdcp."""
    return stack.read(path, token)


def by_bindings(stack: Stack, path: str, token: str) -> bytes:
    """Read with Python's bindings, as uproot does."""
    door = f"root://127.0.0.1:{stack.port}/"
    done = stack.client(sys.executable, "-c", BINDINGS, door, path, token=token)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def by_https(stack: Stack, path: str, token: str) -> bytes:
    """Read over https."""
    status, body = stack.get(path, token)
    assert status == 200
    return body


def captured(
    stack: Stack, read: Callable[[Stack, str, str], bytes], token: str
) -> tuple[str, bytes]:
    """Read a new file; returns its path and what went to the origin meanwhile."""
    path = new_file(stack)
    before = len(stack.meter.payload())
    assert read(stack, path, token) == content(path)
    return path, stack.meter.payload()[before:]


def traces(token: str, payload: bytes) -> list[str]:
    """List what a payload says of a token and the person it is for."""
    plain = unquote(payload.decode("latin-1"))
    signs = {f"part {n} of the token": part for n, part in enumerate(token.split("."))}
    # not even a piece of the signature, which no two tokens share
    signature = token.rpartition(".")[2]
    signs |= {f"piece {n}": signature[n : n + 16] for n in range(0, len(signature) - 16, 16)}
    signs |= {"name": NAME, "authz": "authz", "Bearer": "Bearer"}
    return [sign for sign, text in signs.items() if text in plain]


@pytest.mark.parametrize("read", [by_xrdcp, by_bindings])
def test_origin_sees_no_token_when_the_client_speaks_root(
    xcache: XCache, read: Callable[[Stack, str, str], bytes]
) -> None:
    token = xcache.stack.token(sub=NAME)
    path, payload = captured(xcache.stack, read, token)
    # nothing here is encrypted: what is looked for would be seen
    assert path.encode() in payload
    assert traces(token, payload) == []


def test_origin_sees_no_token_when_the_client_speaks_https(
    xcache: XCache, request: pytest.FixtureRequest
) -> None:
    xcache.expect_fault(request, "https-leak")
    token = xcache.stack.token(sub=NAME)
    _, payload = captured(xcache.stack, by_https, token)
    assert traces(token, payload) == []


def test_origin_logs_the_service_and_nobody_else(xcache: XCache) -> None:
    stack = xcache.stack
    before = len(stack.log("xrootd-origin"))
    stack.restart("xrootd-origin")  # or the cache would not have to log in
    for read in (by_xrdcp, by_bindings, by_https):
        token = stack.token(sub=NAME)
        captured(stack, read, token)
        assert traces(token, stack.log("xrootd-origin")[before:].encode()) == []
    logins = re.findall("login as (.*)", stack.log("xrootd-origin")[before:])
    assert set(logins) == {"xcachesvc"}


def test_no_token_stands_in_a_log_when_files_are_read_or_refused(xcache: XCache) -> None:
    stack = xcache.stack
    tokens = [stack.token(), stack.token("storage.read:/store/other"), stack.token(aud="https://x")]
    for token in tokens:
        for path in (HELLO, f"{HELLO}?authz=Bearer%20{token}", "/store/cms/missing"):
            stack.get(path, token)
            stack.client("xrdcp", "-s", "-f", stack.url(path), "-", token=token)
    for name in ("xcache", "xrootd-origin", "network"):
        log = stack.log(name)
        assert [token for token in tokens if token.rpartition(".")[2] in log] == [], name
