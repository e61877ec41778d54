"""Labs as processes of one machine, each with its own folder, all as one system user.

Not an isolation boundary: users who run code here can reach each other's files. The page says so.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from subprocess import DEVNULL, STDOUT
from typing import TYPE_CHECKING, Any, ClassVar

from jupyterhub.spawner import LocalProcessSpawner
from traitlets import default

from af_hub.spawner.ends.spawner import EndingSpawner
from af_hub.spawner.lab_environment import LabFacts, device_variables, lab_variables
from af_hub.spawner.local.folders import copy_examples
from af_hub.spawner.local.places import Places
from af_hub.spawner.local.processes import kill_marked, start_mark
from af_hub.spawner.local.resources import KnownMachine
from af_hub.spawner.policy.plan import NVIDIA
from af_hub.spawner.policy.reservations import Book
from af_hub.spawner.policy.site import Holder
from af_hub.spawner.record import Record
from af_hub.spawner.starts.spawner import PacedSpawner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from af_hub.spawner.policy.plan import Plan
    from af_hub.spawner.policy.reservations import Reservation
    from af_hub.spawner.policy.site import Site

_NOT_ISOLATED = (
    "All users of this facility run as one system user on one machine. They are not isolated from "
    "each other: work here only with people you trust."
)
_LIMITS = (
    "Cores: each Lab is tied to as many as it was given. Memory: not enforced, please keep to what "
    "you chose. GPUs: reserved for one Lab at a time."
)


class LocalSpawner(EndingSpawner, Places, PacedSpawner, LocalProcessSpawner):  # type: ignore[misc]  # untyped upstream
    """Starts Labs on the hub's own machine, from the profile catalogue.

    Cores are given by processor affinity, graphics processors by reservation and
    ``CUDA_VISIBLE_DEVICES``. Memory is a label: it is not enforced, and the page says so.
    """

    book: ClassVar[Book] = Book()
    """Reservations of this machine; one hub is one process."""

    machine: ClassVar[KnownMachine] = KnownMachine()
    """What the machine has."""

    @default("cmd")
    def _default_cmd(self) -> list[str]:
        """Start the Lab from the hub's own environment."""
        beside = Path(sys.executable).with_name("jupyterhub-singleuser")
        return [str(beside) if beside.exists() else "jupyterhub-singleuser"]

    @default("args")
    def _default_args(self) -> list[str]:
        """Allow root where the whole facility already runs as root, as in a container."""
        return ["--allow-root"] if os.geteuid() == 0 else []

    @default("env_keep")
    def _default_env_keep(self) -> list[str]:
        """Keep what programs need to run; AF_INSTANCE marks every process of a facility."""
        return ["PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "TZ", "AF_INSTANCE"]

    @default("term_timeout")
    def _default_term_timeout(self) -> int:
        """Give kernels ten seconds to end."""
        return 10

    @default("default_url")
    def _default_default_url(self) -> str:
        return "/lab"

    async def look_at_site(self) -> Site:
        """Describe what is free, not counting what this server holds."""
        return self.book.site(await self.machine.look(), without=self.key)

    async def look_at_all(self) -> Site:
        """Describe what is free, counting what this server holds, too."""
        return self.book.site(await self.machine.look())

    async def gpu_holders(self) -> Sequence[Holder]:
        """List who has which devices of this machine."""
        products = {gpu.identifier: gpu.product for gpu in (await self.machine.look()).gpus}
        return [
            Holder(products.get(gpu, ""), NVIDIA, entry.user, 1)
            for entry in self.book.entries.values()
            for gpu in entry.gpus
        ]

    def remarks(self) -> Sequence[str]:
        """Say what one machine cannot promise."""
        return (_NOT_ISOLATED, _LIMITS)

    def make_preexec_fn(self, name: str) -> Callable[[], None]:  # noqa: ARG002  upstream's signature
        """Tie the Lab to its cores, before it starts any thread."""
        entry = self.book.entries.get(self.key)
        cores = set(entry.cores) if entry else set(os.sched_getaffinity(0))

        def prepare() -> None:
            os.sched_setaffinity(0, cores)
            os.umask(0o077)

        return prepare

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        """Give the Lab its own home instead of the system user's."""
        env["USER"] = env["LOGNAME"] = self.user.name
        env["HOME"] = str(self.folders.home)
        env["SHELL"] = shutil.which("bash") or "/bin/sh"
        return env

    async def move_certs(self, paths: dict[str, str]) -> dict[str, str]:
        """Leave internal certificates where they are: all Labs are one system user."""
        return paths

    async def start(self) -> tuple[str, int]:
        """Start a Lab, if the policy grants it.

        Returns
        -------
        tuple of (str, int)
            Address and port, on loopback.

        Raises
        ------
        SpawnRefused
            With the policy's reason; nothing was started then.
        """
        machine = await self.machine.look()
        groups = await self.groups()
        # `machine` is fresh, so nothing waits from the look at what is free to the reservation:
        # two starts never get the same device
        plan = await self.decide(groups)
        entry = self.book.reserve(self.key, machine, plan, self.user.name)
        await self.tell_plan(plan)
        folders = self.folders
        await asyncio.to_thread(folders.create)
        if self.examples_dir:
            await asyncio.to_thread(copy_examples, Path(self.examples_dir), folders.home)
        self.record = self._apply(plan, entry, groups)
        with await asyncio.to_thread(folders.open_log) as log:
            self.popen_kwargs: dict[str, Any] = {
                "cwd": folders.home,
                "stdin": DEVNULL,
                "stdout": log,
                "stderr": STDOUT,
            }
            address: tuple[str, int] = await super().start()
        self.record = replace(self.record, process=start_mark(self.pid) or "")
        return address

    def _apply(self, plan: Plan, entry: Reservation, groups: frozenset[str]) -> Record:
        """Write the plan into the spawner's traits; each start begins afresh."""
        record = Record.of(
            plan,
            server=secrets.token_hex(16),
            started_at=int(time.time()),
            cores=entry.cores,
            gpus=entry.gpus,
        )
        self.ip = "127.0.0.1"
        self.port = 0
        self.cpu_limit = float(plan.cpu)
        self.mem_limit = plan.ram
        self.notebook_dir = str(self.folders.home).replace("{", "{{").replace("}", "}}")
        self._lab_variables = lab_variables(
            self.lab_environment,
            LabFacts(
                user=self.user.name,
                groups=tuple(sorted(groups)),
                profile=plan,
                folders=self.folders,
                mark=record.server,
            ),
        ) | device_variables(entry.gpus)
        return record

    async def poll(self) -> int | None:
        """Tell whether the Lab runs; end it if its time is over.

        Returns
        -------
        int or None
            None while it runs, else an exit code.
        """
        record = self.record
        if (
            self.proc is None
            and self.pid
            and record is not None
            and start_mark(self.pid) != record.process
        ):
            # the hub restarted and the process id belongs to somebody else now
            self.clear_state()
            return 0
        status: int | None = await super().poll()
        if status is not None:
            await self._clean_up(record)
        elif await self.end_if_over():
            status = 0
        return status

    async def stop(self, now: bool = False) -> None:
        """End the Lab and everything it started.

        Parameters
        ----------
        now
            Do not wait for a graceful end of kernels.
        """
        record = self.record
        # not SIGINT, as upstream: without a terminal the Lab asks for a confirmation that never
        # comes, and goes on
        for number, patience in (
            (signal.SIGTERM, 0 if now else self.term_timeout),
            (signal.SIGKILL, self.kill_timeout),
        ):
            if await self.poll() is not None:
                break
            await self._signal(number)
            await self.wait_for_death(patience)
        await self._clean_up(record)
        self.clear_state()

    async def _clean_up(self, record: Record | None) -> None:
        """End what a Lab left behind and remove its private files."""
        if record is not None:
            await asyncio.to_thread(kill_marked, "AF_SERVER", record.server)
            await asyncio.to_thread(self.folders.remove_runtime)
