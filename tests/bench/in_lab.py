"""A cluster inside the user's server: what it costs the Lab while it computes.

Ours holds it in a process of its own, dask-labextension 7 in the Jupyter server itself. The latency
stands beside that of an idle Lab that is asked in turn with it, under the same load.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.figure import Figure
from bench.lab_process import lab_process
from bench.peers import DASK, peer_python

if TYPE_CHECKING:
    from bench.lab_process import LabProcess

TASKS = 40_000
RUNS = 3
LIMIT = 120.0
"""Seconds until a cluster has its workers."""

TYPE = {
    "name": "here",
    "title": "In this Lab",
    "worker": {
        "cores": {"default": 1, "min": 1, "max": 1},
        "memory": {"default": "1G", "min": "500M", "max": "1G"},
    },
    "scale": {"default": 2, "max": 2},
}

WORK = f"""
client.wait_for_workers(2, timeout=60)
futures = client.map(lambda number: number + 1, range({TASKS}))
assert sum(client.gather(futures)) == {TASKS * (TASKS + 1) // 2}
client.close()
"""

OURS = "import sys; from af_labextension import clusters\n"
OURS += "client = clusters.connect(sys.argv[1]).get_client()" + WORK
PEERS = "import sys; from distributed import Client\nclient = Client(sys.argv[1])" + WORK


@dataclass
class Measured:
    """One run.

    Parameters
    ----------
    busy, idle
        Seconds of ``/api/status`` of the Lab with the cluster, and of one without.
    grown
        MB by which the Lab server is larger than before the cluster was made.
    card
        Seconds until the answer to the click.
    """

    card: float = 0.0
    grown: float = 0.0
    busy: list[float] = field(default_factory=list)
    idle: list[float] = field(default_factory=list)


def measure() -> list[Figure]:
    """Measure ours and the peer in turn."""
    ours = [_one(_ours) for _ in range(RUNS)]
    peers = [_one(_peers) for _ in range(RUNS)]
    busy, idle, peer = (
        [_p99(each) for each in kinds]
        for kinds in (
            [one.busy for one in ours],
            [one.idle for one in ours],
            [one.busy for one in peers],
        )
    )
    limit = max(2 * statistics.median(idle), 20.0)
    worst = max(max(one.busy) for one in peers) * 1e3
    return [
        Figure(
            f"`/api/status` of the Lab during {TASKS:,} tasks of its own cluster, p99",
            tuple(busy),
            "ms",
            "as an idle Lab under the same load (at most twice, or 20 ms)",
            lambda value: value <= limit,
            f"idle Lab {statistics.median(idle):.3g} ms; dask-labextension 7"
            f" {statistics.median(peer):.3g} ms, worst {worst:.0f} ms",
        ),
        Figure(
            "memory of the Lab server with a cluster that has computed",
            tuple(one.grown for one in ours),
            "MB more",
            "≤ 5 MB",
            lambda value: value <= 5,
            f"dask-labextension 7 {statistics.median(one.grown for one in peers):.3g} MB",
        ),
        Figure(
            "answer to *New cluster* inside the server",
            tuple(one.card for one in ours),
            "s",
            "≤ 0.3 s",
            lambda value: value <= 0.3,
            f"dask-labextension 7 {statistics.median(one.card for one in peers):.3g} s",
        ),
    ]


def _one(run: Any) -> Measured:
    with tempfile.TemporaryDirectory(prefix="af-bench-") as folder, ExitStack() as stack:
        homes = [Path(folder) / name for name in ("busy", "idle")]
        for home in homes:
            home.mkdir()
        config = {
            "FacilityExtension": {"in_lab_types": [TYPE]},
            "ServerApp": {"jpserver_extensions": {"af_labextension": True}},
        }
        idle = stack.enter_context(lab_process(sys.executable, homes[1], config, {}))
        found: Measured = run(homes[0], config, idle)
    return found


def _ours(home: Path, config: dict[str, Any], idle: LabProcess) -> Measured:
    with lab_process(sys.executable, home, config, {}) as lab:
        lab.request("af/clusters/types").close()
        before = _settled(lab)
        begin = time.perf_counter()
        body = {"type": "here", "options": {}}
        with lab.request("af/clusters", method="POST", body=body) as answer:
            cluster = json.load(answer)["id"]
        found = Measured(card=time.perf_counter() - begin)
        _until_running(lab, f"af/clusters/{cluster}")
        known = {"AF_LAB_CLUSTERS": str(home / ".local/share/jupyter/af-clusters")}
        _watch(found, lab, idle, [sys.executable, "-c", OURS, cluster], known)
        found.grown = _settled(lab) - before
        lab.request(f"af/clusters/{cluster}", method="DELETE").close()
        _until_gone(lab)
    return found


def _peers(home: Path, config: dict[str, Any], idle: LabProcess) -> Measured:
    python = peer_python(DASK)
    plain = {"ServerApp": {"jpserver_extensions": {"dask_labextension": True}}}
    settings = home / "dask"
    settings.mkdir()
    (settings / "dask.yaml").write_text("labextension: {default: {workers: 2}}\n")
    with lab_process(python, home, plain, {"DASK_CONFIG": str(settings)}) as lab:
        lab.request("dask/clusters").close()
        before = _settled(lab)
        begin = time.perf_counter()
        with lab.request("dask/clusters", method="PUT") as answer:
            model = json.load(answer)
        found = Measured(card=time.perf_counter() - begin)
        _watch(found, lab, idle, [str(python), "-c", PEERS, model["scheduler_address"]], {})
        found.grown = _settled(lab) - before
        lab.request(f"dask/clusters/{model['id']}", method="DELETE").close()
    return found


def _watch(
    found: Measured,
    lab: LabProcess,
    idle: LabProcess,
    command: list[str],
    environment: dict[str, str],
) -> None:
    """Ask both Labs in turn while the tasks run."""
    with subprocess.Popen(command, env={**os.environ, **environment}) as work:
        while work.poll() is None:
            for one, times in ((lab, found.busy), (idle, found.idle)):
                begin = time.perf_counter()
                one.request("api/status").close()
                times.append(time.perf_counter() - begin)
            time.sleep(0.01)
    if work.returncode:
        raise RuntimeError("the tasks failed")


def _settled(lab: LabProcess) -> float:
    """Return the server's resident memory in MB, two seconds later."""
    lab.request("api/status").close()
    time.sleep(2)
    return float(lab.process.memory_info().rss) / 1e6


def _until_running(lab: LabProcess, path: str) -> None:
    end = time.perf_counter() + LIMIT
    while time.perf_counter() < end:
        with lab.request(path) as answer:
            if json.load(answer)["workers"] == 2:
                return
        time.sleep(0.1)
    raise RuntimeError("the cluster does not start")


def _until_gone(lab: LabProcess) -> None:
    end = time.perf_counter() + LIMIT
    while time.perf_counter() < end:
        with lab.request("af/clusters") as answer:
            if not json.load(answer)["clusters"]:
                return
        time.sleep(0.1)
    raise RuntimeError("the cluster does not end")


def _p99(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[98] * 1e3
