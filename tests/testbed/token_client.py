"""A Dask client that looks where tokens are; it runs as a program, as a notebook does.

It asks for a task before there is any worker, says ``asked``, and then prints what the first task,
every worker and the scheduler see: see `Seen`. At its end it writes Dask's own dump of the
cluster's state, as people attach it to bug reports.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.gateway import TESTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed.gateway import Testbed

PROGRAM = """
import json, os, sys
from dask_gateway import Gateway

cluster = Gateway().connect(sys.argv[1])
client = cluster.get_client()

def look():
    import importlib.util, os, stat
    from pathlib import Path
    import dask
    path = Path(os.environ["BEARER_TOKEN_FILE"])
    def can_import(name):
        try:
            return importlib.util.find_spec(name) is not None
        except ModuleNotFoundError:
            return False
    return {
        "pid": os.getpid(),
        "cwd": os.getcwd(),
        "path": str(path),
        "token": path.read_text() if path.exists() else None,
        "mode": stat.S_IMODE(path.stat().st_mode) if path.exists() else None,
        "beside": sorted(one.name for one in path.parent.iterdir()),
        "environment": dict(os.environ),
        "config": repr(dask.config.config),
        "can_import": [name for name in ("af_hub", "dask_gateway", "distributed") if can_import(name)],
    }

first = client.submit(look)
print("asked", flush=True)
answer = {"first": first.result(timeout=90)}
client.wait_for_workers(int(sys.argv[2]), timeout=90)
answer["workers"] = list(client.run(look).values())
answer["scheduler"] = client.run_on_scheduler(look)
client.dump_cluster_state(sys.argv[3], format="yaml")
print(json.dumps(answer))
client.close()
"""


@dataclass(frozen=True)
class Seen:
    """What the processes of a cluster see.

    Each is ``{pid, cwd, path, token, mode, beside, environment, config, can_import}``: `path` is
    that of ``BEARER_TOKEN_FILE``, `beside` the names in its folder.

    Parameters
    ----------
    first
        The first task that the cluster ever had.
    workers, scheduler
        All workers; the scheduler.
    dump
        Dask's dump of the cluster's state.
    """

    first: dict[str, Any]
    workers: list[dict[str, Any]]
    scheduler: dict[str, Any]
    dump: str


@contextmanager
def looking(
    bed: Testbed, user: str, cluster: str, workers: int, folder: Path
) -> Iterator[Callable[[], Seen]]:
    """Start the client; when its first task waits, give a function that returns what it saw.

    Parameters
    ----------
    bed
        The testbed.
    user, cluster
        Whose cluster.
    workers
        Number of workers to wait for.
    folder
        For its files.
    """
    dump = folder / "dump"
    with (folder / "errors").open("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, cluster, str(workers), str(dump)],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(folder),
                "PYTHONPATH": TESTS,
                "JUPYTERHUB_API_TOKEN": bed.token(user),
                "DASK_GATEWAY__AUTH__TYPE": "jupyterhub",
                "DASK_GATEWAY__ADDRESS": bed.address,
                "DASK_GATEWAY__PROXY_ADDRESS": bed.wiring.gateway_proxy_url,
            },
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )

        def seen() -> Seen:
            output, _ = process.communicate(timeout=120)
            assert process.returncode == 0, (folder / "errors").read_text()[-3000:]
            dumped = dump.with_suffix(".yaml").read_text()
            return Seen(**json.loads(output.splitlines()[-1]), dump=dumped)

        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line == "asked\n", (folder / "errors").read_text()[-3000:]
            yield seen
        finally:
            process.kill()
            process.communicate()


def token_files(bed: Testbed, cluster: str) -> dict[Path, str]:
    """Return the token files of a cluster's processes and what is in them."""
    return {each: each.read_text() for each in bed.folder(cluster).rglob("bearer-token")}


@contextmanager
def living(bed: Testbed, seconds: float) -> Iterator[None]:
    """Let tokens that are made meanwhile live so long."""
    lifetime = bed.wiring.layout.hub / "token-lifetime"
    before = lifetime.read_text()
    lifetime.write_text(str(seconds))
    try:
        yield
    finally:
        lifetime.write_text(before)


@contextmanager
def made(bed: Testbed, user: str, kind: str, workers: int) -> Iterator[str]:
    """Give a cluster with its workers; nothing of it is left afterwards."""
    body = {"options": {"type": kind}, "scale": {"mode": "fixed", "workers": workers}}
    status, answer = bed.call(user, "POST", "af/clusters", body)
    assert status == 201, answer
    cluster = str(answer["id"])
    try:
        bed.wait(
            user, cluster, lambda one: one["state"] == "running" and one["workers"] == workers, 60
        )
        yield cluster
    finally:
        bed.call(user, "DELETE", f"af/clusters/{cluster}")
    bed.wait(user, cluster, lambda one: one["state"] in {"stopped", "failed"}, 60)
    assert bed.cluster_processes(cluster) == []
    assert not bed.folder(cluster).exists()


def scale(bed: Testbed, user: str, cluster: str, workers: int) -> None:
    """Change the number of workers and wait for them."""
    body = {"scale": {"mode": "fixed", "workers": workers}}
    status, answer = bed.call(user, "PATCH", f"af/clusters/{cluster}", body)
    assert status == 200, answer
    bed.wait(user, cluster, lambda one: one["workers"] == workers, 60)


def exposed(bed: Testbed, cluster: str, seen: Seen) -> dict[str, str]:
    """Return every text of a running cluster in which no secret may be, by its place."""
    places = {"dump": seen.dump}
    for number, one in enumerate([seen.first, seen.scheduler, *seen.workers]):
        places[f"environment {number}"] = json.dumps(one["environment"])
        places[f"configuration {number}"] = one["config"]
    for process in bed.cluster_processes(cluster):
        for kind in ("environ", "cmdline"):
            path = Path(f"/proc/{process.pid}/{kind}")
            places[str(path)] = path.read_text(errors="replace")
    folder = bed.folder(cluster)
    for log in (*bed.wiring.layout.logs.iterdir(), *folder.rglob("*.log")):
        places[str(log)] = log.read_text()
    secret = {"bearer-token", "gateway-token", "tls.key"}
    for file in folder.rglob("*"):
        if file.is_file() and file.name not in secret:
            places[str(file)] = file.read_text(errors="replace")
    database = bed.wiring.layout.gateway / "gateway.sqlite"
    places["database"] = database.read_text(errors="replace")
    return places
