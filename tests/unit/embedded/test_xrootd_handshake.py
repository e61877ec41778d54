"""Who speaks XRootD, and who only takes connections."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest

from af_hub.embedded.xrootd.handshake import speaks_xrootd
from testbed.iam import free_ports

if TYPE_CHECKING:
    from testbed.network import InnerNetwork


async def test_nobody_speaks_xrootd_when_the_relay_has_nobody_behind_it(
    inner_network: InnerNetwork,
) -> None:
    assert not await speaks_xrootd(inner_network.nobody)()
    assert not await speaks_xrootd(free_ports(1)[0])()


@pytest.mark.parametrize(
    ("answer", "speaks"),
    [
        (bytes.fromhex("0000 0000 00000008") + bytes(8), True),
        (b"HTTP/1.1 400 Bad Request", False),
        (bytes.fromhex("0000 0fa3 00000008") + bytes(8), False),
        (b"\0\0", False),
    ],
)
async def test_answer_decides_who_speaks_xrootd(answer: bytes, speaks: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with server.accept()[0] as line:
                line.recv(20)
                line.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        assert await speaks_xrootd(server.getsockname()[1])() == speaks
        thread.join(10)
