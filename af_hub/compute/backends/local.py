"""Schedulers and workers as processes of this machine, all of one system user.

For a facility on one machine. Users are kept apart by TLS and by Gateway, not by the operating
system: whoever runs code as this system user can read everything. Processes outlive the gateway;
they are found again by process id and start time, so that a reused id is never touched.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from af_hub.compute.backends.local_files import prepare, read_logs
from af_hub.errors import ComputeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping, Sequence

    from af_hub.compute.backends.base import State
    from af_hub.compute.launch import Launch
    from af_hub.compute.logs import Log
    from af_hub.compute.types import ClusterType

INHERITED = (
    "AF_INSTANCE",
    "LANG",
    "LC_ALL",
    "PATH",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "TZ",
    "VIRTUAL_ENV",
)
"""Environment variables of the gateway that its clusters get as well.

``AF_INSTANCE`` marks the processes of a facility, so that none survives it.
"""

GRACE = 5.0
"""Seconds from the polite signal to SIGKILL."""
MARK, PLACE = "DASK_GATEWAY_CLUSTER_NAME", "AF_CLUSTER_FOLDER"
"""Environment variables by which processes of a cluster are known, and those of this gateway."""
YOUNG = 10.0
"""Seconds: a process that is younger may not stand in the records yet."""


class LocalEngine:
    """Start clusters as processes of this machine.

    Parameters
    ----------
    root
        Folder of the clusters' folders; made if it is not there.
    """

    host = "127.0.0.1"

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def believes(self, host: str) -> bool:
        """Believe schedulers of this machine."""
        return host == self.host

    def folder(self, cluster: str) -> str:
        """Return the folder of a cluster."""
        return str(self._folder(cluster))

    async def problem(self, kind: ClusterType, image: str) -> str | None:
        """Tell if the software is not there."""
        chosen = kind.images.find(image) if kind.images else None
        if chosen is None or chosen.environment is None:
            return None
        if os.access(Path(chosen.environment) / "bin/dask", os.X_OK):
            return None
        return f"The software {chosen.title or chosen.name} is not installed on the server."

    async def start_cluster(self, cluster: str, launch: Launch) -> AsyncIterator[State]:
        """Make the folder, start the scheduler."""
        folder = self._folder(cluster)
        yield {}
        if folder.exists():
            # a gateway that was killed while it did this
            await self.stop_cluster(cluster, {})
        await asyncio.to_thread(prepare, folder, launch.files)
        yield await self._start(folder, launch, "scheduler")

    async def stop_cluster(self, cluster: str, state: Mapping[str, Any]) -> None:
        """Stop the scheduler, remove the folder."""
        await _stop(cluster, state)
        await asyncio.to_thread(_kill_all, cluster, None)
        await asyncio.to_thread(shutil.rmtree, self._folder(cluster), ignore_errors=True)

    async def start_worker(self, cluster: str, worker: str, launch: Launch) -> AsyncIterator[State]:
        """Start one worker."""
        yield await self._start(self._folder(cluster), launch, f"worker-{worker}")

    async def stop_worker(self, cluster: str, state: Mapping[str, Any]) -> None:
        """Stop one worker."""
        await _stop(cluster, state)

    async def alive(self, states: Sequence[Mapping[str, Any]]) -> list[bool]:
        """Tell which processes are there."""
        return [_process(state) is not None for state in states]

    async def end_unknown(self, known: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
        """End processes and remove folders that nobody knows."""
        return await asyncio.to_thread(self._end_unknown, known)

    async def logs(self, cluster: str, lines: int) -> list[Log]:
        """Read the logs in the cluster's folder."""
        return await asyncio.to_thread(read_logs, self._folder(cluster), lines)

    def _end_unknown(self, known: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
        sessions = {
            name: {int(state["pid"]) for state in states if "pid" in state}
            for name, states in known.items()
        }
        old, ended = time.time() - YOUNG, []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                environment = process.environ()
                name = environment.get(MARK)
                # another gateway of this machine has its clusters elsewhere
                if not name or environment.get(PLACE) != str(self._root / name):
                    continue
                if process.create_time() < old and not _within(process, sessions.get(name, ())):
                    process.kill()
                    ended.append(f"process {process.pid} of cluster {name}")
        for folder in self._root.iterdir():
            with suppress(OSError):
                ours = re.fullmatch(r"[0-9a-f]{32}", folder.name) and folder.name not in known
                if ours and folder.stat().st_mtime < old:
                    shutil.rmtree(folder)
                    ended.append(f"folder of cluster {folder.name}")
        return ended

    def _folder(self, cluster: str) -> Path:
        if not re.fullmatch(r"[0-9a-f]{32}", cluster):
            raise ComputeError("bad-cluster", "No such cluster.")
        return self._root / cluster

    async def _start(self, folder: Path, launch: Launch, name: str) -> State:
        inherited = {key: os.environ[key] for key in INHERITED if key in os.environ}
        environment = {
            **inherited,
            "HOME": str(folder),
            **launch.environment,
            PLACE: str(folder),
        }
        log = os.open(
            folder / "logs" / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600
        )
        try:
            process = await asyncio.create_subprocess_exec(
                *launch.command,
                cwd=folder,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                # its own group: the nanny and its worker are ended together
                start_new_session=True,
            )
        finally:
            os.close(log)
        return {"pid": process.pid, "started": psutil.Process(process.pid).create_time()}


def _process(state: Mapping[str, Any]) -> psutil.Process | None:
    """Return the living process of a state, if it is still the same one."""
    try:
        process = psutil.Process(int(state["pid"]))
        same = abs(process.create_time() - float(state["started"])) < 1.0
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (KeyError, ValueError, psutil.NoSuchProcess):
        return None


async def _stop(cluster: str, state: Mapping[str, Any]) -> None:
    """End a process and its session; SIGKILL after `GRACE` seconds."""
    process = _process(state)
    if process is not None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)
        await _gone(state)
    if "pid" in state:
        # a killed nanny leaves its worker behind
        await asyncio.to_thread(_kill_all, cluster, int(state["pid"]))


async def _gone(state: Mapping[str, Any]) -> None:
    # not by the exit code: after a restart of the gateway it is nobody's child here
    for _ in range(int(GRACE / 0.05)):
        if _process(state) is None:
            return
        await asyncio.sleep(0.05)


def _within(process: psutil.Process, sessions: Collection[int]) -> bool:
    """Tell whether a process, or one that it comes from, is of one of these sessions."""
    return any(os.getsid(each.pid) in sessions for each in (process, *process.parents()))


def _kill_all(cluster: str, session: int | None) -> None:
    """Kill the processes of a cluster, of one session only if it is given.

    They are recognised by their environment, never by their number alone: numbers are reused.
    """
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if session is not None and os.getsid(process.pid) != session:
                continue
            if process.environ().get(MARK) == cluster:
                process.kill()
