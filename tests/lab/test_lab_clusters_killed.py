"""``kill -9`` of Lab, holder and worker while they compute, in several orders."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from testbed.iam import free_ports
from testbed.lab_clusters import CLIENT, HERE, holder, processes
from testbed.lab_server import LAB_TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.faults

LISTED = 15.0
"""Seconds until a new Lab lists the cluster, from its first answer on: three times the promise.

How long a Lab takes to answer at all is Jupyter's; it is 2 s on a quiet machine.
"""

ORPHANS = 60.0
"""Seconds after which nothing may be left."""


class Lab:
    """A Jupyter Server with the extension, in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (self.port,) = free_ports(1)
        self.clusters = folder / "data" / "af-clusters"
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("JUPYTER", "AF_", "DASK"))
        } | {
            "HOME": str(folder),
            "JUPYTER_DATA_DIR": str(folder / "data"),
            "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
            "JUPYTER_CONFIG_DIR": str(folder / "config"),
            "AF_LAB_CLUSTERS": str(self.clusters),
        }
        config = {
            "IdentityProvider": {"token": LAB_TOKEN},
            "ServerApp": {
                "jpserver_extensions": {
                    "af_labextension": True,
                    **dict.fromkeys(("jupyterlab", "jupyter_lsp", "notebook_shim"), False),
                }
            },
            "FacilityExtension": {"in_lab_types": [HERE]},
        }
        (folder / "config").mkdir()
        (folder / "config" / "jupyter_server_config.json").write_text(json.dumps(config))
        self.process: subprocess.Popen[bytes] | None = None
        self.work: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start it; `ask` waits until it answers."""
        with (self.folder / "lab.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "jupyter_server", "--allow-root", "--no-browser"),
                    *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={self.port}"),
                    "--ServerApp.port_retries=0",
                ],
                env=self.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """End it as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def ask(self, method: str, path: str, body: Any = None, limit: float = 60.0) -> Any:
        """Ask it, as soon as it answers."""
        url = f"http://127.0.0.1:{self.port}/{path}"
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"token {LAB_TOKEN}"}
        request = urllib.request.Request(url, data, headers, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        end = time.monotonic() + limit
        while True:
            try:
                with opener.open(request, timeout=limit) as answer:
                    return json.loads(answer.read() or b"null")
            except (urllib.error.URLError, ConnectionError):
                if time.monotonic() > end:
                    pytest.fail((self.folder / "lab.log").read_text()[-3000:])
                time.sleep(0.05)

    def wait(self, what: Callable[[list[dict[str, Any]]], Any], limit: float = 60.0) -> Any:
        """Wait until the list of clusters is as described."""
        end = time.monotonic() + limit
        while not what(found := self.ask("GET", "af/clusters", limit=limit)["clusters"]):
            assert time.monotonic() < end, found
            time.sleep(0.05)
        return found

    def make(self) -> str:
        """Make a cluster and wait for its worker."""
        self.ask("GET", "af/clusters/types")
        scale = {"mode": "fixed", "workers": 1}
        made = self.ask("POST", "af/clusters", {"type": "here", "scale": scale})
        self.wait(lambda found: (made["id"], 1) in [(one["id"], one["workers"]) for one in found])
        return str(made["id"])

    def compute(self, cluster: str, tasks: int) -> subprocess.Popen[bytes]:
        """Compute in another process; it has begun."""
        work = subprocess.Popen(
            [sys.executable, "-c", CLIENT, cluster, str(tasks)],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.work.append(work)
        assert work.stdout is not None
        assert work.stdout.readline() == b"begun\n"
        return work


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """Start a Lab; nothing of it is left afterwards."""
    lab = Lab(tmp_path)
    lab.start()
    yield lab
    lab.kill()
    for work in lab.work:
        with work:
            work.kill()
    for path in lab.clusters.glob("lab-*.json"):
        for process in processes(path.stem):
            process.kill()


def gone(cluster: str) -> None:
    """Wait until no process of a cluster is left."""
    end = time.monotonic() + ORPHANS
    while left := processes(cluster):
        assert time.monotonic() < end, left
        time.sleep(0.1)


def test_a_computation_goes_on_when_the_lab_is_killed_three_times(lab: Lab) -> None:
    cluster = lab.make()
    work = lab.compute(cluster, 2000)
    held = holder(cluster).pid
    for _ in range(3):
        lab.kill()
        lab.start()
        lab.ask("GET", "api/status")
        lab.wait(lambda found: found and found[0]["state"] == "running", LISTED)
        assert holder(cluster).pid == held
    with work:
        out, _ = work.communicate()
    assert int(out) == sum(range(2000))
    lab.ask("DELETE", f"af/clusters/{cluster}")
    lab.wait(lambda found: not found)
    gone(cluster)


@pytest.mark.parametrize("seed", [7, 8, 9])
def test_nothing_is_left_and_the_lab_knows_when_all_are_killed_in_any_order(
    lab: Lab, seed: int
) -> None:
    cluster = lab.make()
    lab.compute(cluster, 10_000)
    held = holder(cluster)
    others = [one for one in processes(cluster) if one.pid != held.pid]
    victims: list[psutil.Process | Lab] = [lab, held, *others]
    random.Random(seed).shuffle(victims)  # noqa: S311 - an order, no secret
    for victim in victims:
        try:
            victim.kill()
        except psutil.NoSuchProcess:  # it had gone with another
            assert not held.is_running() or held.status() == psutil.STATUS_ZOMBIE
    lab.start()
    lab.ask("GET", "api/status")
    (found,) = lab.wait(lambda found: found and found[0]["state"] == "failed", LISTED)
    assert "killed" in found["reason"]
    gone(cluster)
    # and the next one works
    again = lab.make()
    lab.ask("DELETE", f"af/clusters/{again}")
    gone(again)


def test_a_killed_worker_comes_back_and_its_work_is_done_again(lab: Lab) -> None:
    cluster = lab.make()
    work = lab.compute(cluster, 300)
    held = holder(cluster).pid
    (worker,) = [one for one in processes(cluster) if "spawn_main" in " ".join(one.cmdline())]
    worker.kill()
    with work:
        out, _ = work.communicate(timeout=120)
    assert int(out) == sum(range(300))
    (found,) = lab.wait(lambda found: found and found[0]["workers"] == 1)
    assert (found["state"], holder(cluster).pid) == ("running", held)
    lab.ask("DELETE", f"af/clusters/{cluster}")
    gone(cluster)
