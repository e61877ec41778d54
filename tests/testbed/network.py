"""An inner network with a small server in it."""

from __future__ import annotations

import asyncio
import secrets
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from af_hub.embedded.environment import part_environment
from af_hub.embedded.guard import sweep
from af_hub.embedded.layout import Layout
from af_hub.embedded.logs import open_log
from af_hub.embedded.network.holder import is_listening
from af_hub.embedded.network.part import holder_file, network_part
from af_hub.embedded.xrootd.availability import network_problem
from testbed.iam import free_ports
from testbed.require import require

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 30.0


@dataclass
class InnerNetwork:
    """A network that is held, and what runs in it.

    ``port`` leads in, ``nobody`` leads in too and has no server, ``outward`` leads out.
    """

    layout: Layout
    instance: str
    port: int
    nobody: int
    outward: int
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def holder(self) -> Path:
        """File that names the holder."""
        return holder_file(self.layout)

    def enter(self, *command: str, options: tuple[str, ...] = ()) -> list[str]:
        """Return the command line that runs a program inside."""
        start = [sys.executable, "-m", "af_hub.embedded.network.enter"]
        return [*start, "--holder", str(self.holder), *options, "--", *command]

    def launch(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        """Start a process with the facility's mark."""
        with open_log(self.layout.log(name)) as stream:
            process = subprocess.Popen(
                command,
                env=part_environment(self.instance),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        self.processes[name] = process
        return process

    def inside(
        self, *command: str, options: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run a program inside to its end."""
        return subprocess.run(
            self.enter(*command, options=options),
            env=part_environment(self.instance),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def start_network(self) -> None:
        """Start the holder and wait for it."""
        part = network_part(self.layout, inward=(self.port, self.nobody), outward=(self.outward,))
        process = self.launch("network", list(part.command))

        async def ready() -> None:
            async with asyncio.timeout(PATIENCE):
                while not await part.ready():
                    assert process.poll() is None, self.layout.log("network").read_text()
                    await asyncio.sleep(0.01)

        asyncio.run(ready())

    def start_server(self) -> None:
        """Start the server inside and wait for it."""
        program = str(Path(__file__).with_name("inner_server.py"))
        self.launch("server", self.enter(sys.executable, program, str(self.port)))

        async def ready() -> None:
            async with asyncio.timeout(PATIENCE):
                while not is_listening(self.holder, self.port):  # noqa: ASYNC110  has no event
                    await asyncio.sleep(0.01)

        asyncio.run(ready())

    def connect(self, first: str, *, port: int | None = None) -> socket.socket:
        """Connect from the host and send the first line."""
        line = socket.create_connection(("127.0.0.1", port or self.port), timeout=PATIENCE)
        try:
            line.sendall(first.encode() + b"\n")
        except OSError:
            line.close()
            raise
        return line

    def stop(self) -> None:
        """End everything."""
        sweep(self.instance, grace=2)
        for process in self.processes.values():
            process.wait(PATIENCE)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to a process, wait for its end and return its code."""
        self.processes[name].send_signal(number)
        return self.processes[name].wait(PATIENCE)


def require_network() -> None:
    """Skip the test where the system refuses a network of its own."""
    problem = network_problem()
    require("xrootd", problem is None, str(problem))


@contextmanager
def held_network(root: Path) -> Iterator[InnerNetwork]:
    """Give a network with its files below `root`; nothing of it is left afterwards."""
    require_network()
    layout = Layout(root)
    layout.create()
    port, nobody, outward = free_ports(3)
    network = InnerNetwork(layout, secrets.token_hex(8), port, nobody, outward)
    try:
        network.start_network()
        network.start_server()
        yield network
    finally:
        network.stop()


@pytest.fixture(scope="session")
def inner_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InnerNetwork]:
    """Give a network that all tests share; kill nothing in it."""
    with held_network(tmp_path_factory.mktemp("network") / "data") as network:
        yield network
