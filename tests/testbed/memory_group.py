"""A control group with a memory limit, and a Jupyter server in it with real kernels.

The groups lie below that of the tests; what a killed run has left is cleared away by the next one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient

from af_labextension.memory.cgroups import Group, groups
from testbed.iam import free_ports
from testbed.require import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PREFIX = "af-guard-"
TOKEN = "memory-test"
LIMIT = 120.0
"""Seconds for what has to happen on a machine that is busy with other things."""

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class MemoryGroup:
    """A group of the tests."""

    group: Group

    def command(self, *command: str) -> list[str]:
        """Return a command that runs another in the group."""
        enter = f'echo $$ > "{self.group.folder}/cgroup.procs" && exec "$@"'
        return ["sh", "-c", enter, "sh", *command]

    @property
    def processes(self) -> frozenset[int]:
        """Who is in it."""
        return frozenset(map(int, (self.group.folder / "cgroup.procs").read_text().split()))

    @property
    def kills(self) -> int:
        """How many processes the system has killed because the group was full."""
        counted = (self.group.folder / self.group.names.kills).read_text().split()
        # read here once more: a count that cannot be read must not look like none
        return int(counted[counted.index("oom_kill") + 1])

    @property
    def active_files(self) -> int:
        """Bytes of page cache that have been read more than once."""
        words = (self.group.folder / "memory.stat").read_text().split()
        return int(words[words.index("active_file") + 1])

    @property
    def usage(self) -> int:
        """Bytes, page cache and all."""
        return int((self.group.folder / self.group.names.usage).read_text())


def _clear(folder: Path) -> None:
    """End what is in a group of the tests, and remove it."""
    deadline = time.monotonic() + LIMIT
    while folder.is_dir() and time.monotonic() < deadline:
        for pid in (folder / "cgroup.procs").read_text().split():
            with suppress(OSError):
                os.kill(int(pid), signal.SIGKILL)
        with suppress(OSError):
            folder.rmdir()
        time.sleep(0.02)


def _clear_leftovers(parent: Path) -> None:
    for folder in parent.glob(f"{PREFIX}*"):
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        if not Path("/proc", owner).is_dir():
            _clear(folder)


@contextmanager
def memory_group(limit: int) -> Iterator[MemoryGroup]:
    """Make a group that may hold `limit` bytes; skip where that cannot be done."""
    around = groups()
    require("cgroups", around, "no control group for memory can be seen")
    parent = around[0]
    number = len(list(parent.folder.glob(f"{PREFIX}{os.getpid()}-*")))
    folder = parent.folder / f"{PREFIX}{os.getpid()}-{number}"
    reason = None
    try:
        _clear_leftovers(parent.folder)
        folder.mkdir()
        (folder / parent.names.limit).write_text(str(limit))
    except OSError as error:
        # on version 2 a group that has processes itself gives no controller to its children
        reason = f"no group can be made in {parent.folder}: {error.strerror}"
    try:
        require("cgroups", reason is None, reason or "")
        yield MemoryGroup(Group(folder, parent.names))
    finally:
        _clear(folder)


@contextmanager
def standing_still(process: int) -> Iterator[None]:
    """Let a server have no processor time, as on a machine that is too busy for its guard."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


@dataclass
class GuardedLab:
    """A running server.

    Parameters
    ----------
    url
        With a slash at the end.
    """

    url: str
    process: subprocess.Popen[bytes]
    home: Path
    clients: list[Any] = field(default_factory=list)
    old: set[str] = field(default_factory=set)

    @property
    def log(self) -> Path:
        """What it has written."""
        return self.home / "server.log"

    def ask(self, path: str, body: Any = None, method: str | None = None) -> Any:
        """Ask the server."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"token {TOKEN}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=LIMIT) as answer:
            return json.loads(answer.read() or b"null")

    def notices(self) -> list[dict[str, Any]]:
        """Return what the user was told."""
        found: list[dict[str, Any]] = self.ask("af/memory")["notices"]
        return found

    def news(self) -> list[dict[str, Any]]:
        """Return what the user was told since notebooks were closed for the last time."""
        return [one for one in self.notices() if one["id"] not in self.old]

    def close_notebooks(self) -> None:
        """End all kernels."""
        for client in self.clients:
            client.stop_channels()
        self.clients.clear()
        for session in self.ask("api/sessions"):
            self.ask(f"api/sessions/{session['id']}", method="DELETE")
        self.old = {one["id"] for one in self.notices()}

    def notebook(self, path: str) -> Kernel:
        """Open a notebook."""
        session = {"path": path, "name": path, "type": "notebook", "kernel": {"name": "python3"}}
        kernel = Kernel(self.ask("api/sessions", session)["kernel"]["id"], self)
        kernel.connect()
        return kernel


@dataclass
class Kernel:
    """A kernel and a way to it."""

    id: str
    lab: GuardedLab
    client: Any = None

    def connect(self) -> None:
        """Wait until it answers, also when another has to take its place first."""
        until(self._connected, self.lab)

    def _connected(self) -> bool:
        file = self.lab.home / f"run/kernel-{self.id}.json"
        client = BlockingKernelClient(connection_file=str(file))
        # a kernel that was started anew may have other ports
        client.load_connection_file()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=5)
        except RuntimeError:
            client.stop_channels()
            return False
        self.lab.clients.append(client)
        self.client = client
        return True

    def run(self, code: str) -> None:
        """Run code to its end."""
        reply = self.client.execute_interactive(
            code, timeout=LIMIT, store_history=False, output_hook=lambda _: None
        )
        assert reply["content"]["status"] == "ok", reply["content"]

    def begin(self, code: str) -> None:
        """Run code and do not wait."""
        self.client.execute(code, store_history=False)

    def ended(self, times: int = 1) -> dict[str, Any]:
        """Wait until the user has been told of its end; return that."""
        found: list[dict[str, Any]] = []

        def told() -> bool:
            found[:] = [one for one in self.lab.notices() if one["kernel"] == self.id]
            return len(found) >= times

        until(told, self.lab)
        return found[-1]


def until(done: Callable[[], object], lab: GuardedLab) -> None:
    """Wait for something."""
    deadline = time.monotonic() + LIMIT
    while not done():
        if time.monotonic() > deadline or lab.process.poll() is not None:
            pytest.fail(f"status {lab.process.poll()}:\n{lab.log.read_text()[-6000:]}")
        time.sleep(0.05)


@contextmanager
def guarded_lab(
    home: Path, group: MemoryGroup | None = None, **traits: Any
) -> Iterator[GuardedLab]:
    """Run a server with the extension, in a group or not."""
    (port,) = free_ports(1)
    home.mkdir(exist_ok=True)
    config = {
        "ServerApp": {
            "jpserver_extensions": {"af_labextension": True, "jupyter_server_terminals": False}
        },
        "IdentityProvider": {"token": TOKEN},
        "FacilityExtension": traits,
    }
    (home / "config.json").write_text(json.dumps(config))
    command = [
        *(sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"),
        *("--ip=127.0.0.1", f"--port={port}", f"--config={home / 'config.json'}"),
        f"--ServerApp.root_dir={home}",
    ]
    environment = {
        **{name: each for name, each in os.environ.items() if not name.startswith("JUPYTER")},
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_RUNTIME_DIR": str(home / "run"),
        "IPYTHONDIR": str(home / "ipython"),
    }
    log = home / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            group.command(*command) if group else command,
            env=environment,
            cwd=home,
            stdout=output,
            stderr=output,
        )
    lab = GuardedLab(f"http://127.0.0.1:{port}/", process, home)

    def up() -> bool:
        with suppress(OSError):
            return bool(lab.ask("api/status"))
        return False

    try:
        until(up, lab)
        yield lab
    finally:
        for client in lab.clients:
            client.stop_channels()
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(30)
