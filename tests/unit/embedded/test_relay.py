"""The relay between the host's network and the inner one, with real sockets on both sides."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from af_hub.embedded.network import relay
from testbed.facility import wait_for

if TYPE_CHECKING:
    import pytest

    from testbed.network import InnerNetwork


def everything(line: socket.socket) -> bytes:
    """Read to the end."""
    blocks = []
    while block := line.recv(2**16):
        blocks.append(block)
    return b"".join(blocks)


def descriptors(network: InnerNetwork) -> int:
    return len(list(Path(f"/proc/{network.processes['network'].pid}/fd").iterdir()))


def test_answer_comes_when_the_client_has_closed_its_half(inner_network: InnerNetwork) -> None:
    content = os.urandom(3_000_001)
    with inner_network.connect("digest") as line:
        line.sendall(content)
        line.shutdown(socket.SHUT_WR)
        assert everything(line) == hashlib.sha256(content).digest()


def test_all_bytes_arrive_when_the_server_closes_first(inner_network: InnerNetwork) -> None:
    with inner_network.connect("source 20000001") as line:
        assert len(everything(line)) == 20_000_001


def test_writer_is_held_back_when_nobody_reads(inner_network: InnerNetwork) -> None:
    process = psutil.Process(inner_network.processes["network"].pid)
    before = process.memory_info().rss
    block = bytes(2**20)
    sent = 0
    with inner_network.connect("stall") as line, suppress(TimeoutError):
        line.settimeout(0.5)
        while sent < 300:
            line.sendall(block)
            sent += 1
    # kernel buffers of two connections (tcp_wmem and tcp_rmem: at most 4 and 32 MiB each)
    assert sent < 100
    assert process.memory_info().rss - before < 8 * 2**20


async def test_others_get_their_turn_when_one_connection_never_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relay, "BLOCK", 100)
    (client, source), (target, server) = socket.socketpair(), socket.socketpair()
    for each in (source, target):
        each.setblocking(False)
    client.sendall(bytes(20_000))  # all is there, and there is room for all of it
    client.close()
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(other())
    await relay.move(source, target)
    counting.cancel()
    assert turns >= 200
    for each in (source, target, server):
        each.close()


def test_each_gets_its_own_answer_when_many_connect_at_once(inner_network: InnerNetwork) -> None:
    lines = [inner_network.connect("echo") for _ in range(300)]
    for number, line in enumerate(lines):
        line.sendall(f"{number}".encode())
    for number, line in enumerate(lines):
        assert line.recv(100) == f"{number}".encode()
    for line in lines:
        line.close()


def test_nothing_is_kept_when_connections_have_ended(inner_network: InnerNetwork) -> None:
    wait_for(lambda: descriptors(inner_network) < 40, "the connections of other tests to end", 30)
    before = descriptors(inner_network)
    for first in ("echo", "reset", "stall", "source 5000000"):
        for _ in range(5):
            inner_network.connect(first).close()
    wait_for(lambda: descriptors(inner_network) <= before, "the descriptors to be closed", 30)


def test_client_learns_it_when_the_server_breaks_off(inner_network: InnerNetwork) -> None:
    with inner_network.connect("reset") as line, suppress(ConnectionResetError):
        assert line.recv(1) == b""


def test_client_learns_it_when_nobody_listens_inside(inner_network: InnerNetwork) -> None:
    with (
        suppress(ConnectionResetError, BrokenPipeError),
        inner_network.connect("echo", port=inner_network.nobody) as line,
    ):
        assert line.recv(1) == b""


def test_host_is_reached_from_inside_by_the_ports_that_lead_out_and_no_other(
    inner_network: InnerNetwork,
) -> None:
    ask = (
        "import socket, sys\n"
        "for port in map(int, sys.argv[1:]):\n"
        "    try:\n"
        "        line = socket.create_connection(('127.0.0.1', port), 5)\n"
        "        print(line.recv(9).decode())\n"
        "    except OSError as error:\n"
        "        print(type(error).__name__)\n"
        "try:\n"
        "    socket.create_connection(('192.0.2.1', 80), 5)\n"
        "except OSError as error:\n"
        "    print(error.strerror)\n"
    )
    with (
        socket.create_server(("127.0.0.1", inner_network.outward)) as allowed,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):

        def answer() -> None:
            with allowed.accept()[0] as line:
                line.sendall(b"welcome")

        thread = threading.Thread(target=answer)
        thread.start()
        ports = (str(inner_network.outward), str(other.getsockname()[1]))
        said = inner_network.inside(sys.executable, "-c", ask, *ports).stdout.split("\n")
        thread.join(10)
    assert said[:3] == ["welcome", "ConnectionRefusedError", "Network is unreachable"]


def test_relay_listens_on_loopback_only(inner_network: InnerNetwork) -> None:
    listening = [
        each.laddr[0]
        for each in psutil.net_connections("tcp")
        if each.status == "LISTEN" and each.laddr and each.laddr[1] == inner_network.port
    ]
    assert listening == ["127.0.0.1"]
