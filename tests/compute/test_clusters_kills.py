"""``kill -9`` of each part while clusters compute; what nobody knows is ended."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from testbed import dask_client
from testbed.gateway import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.gateway import Testbed

pytestmark = pytest.mark.faults

LISTED = 15.0
"""Seconds: the goal is 5, and the machine of a test may be three times as slow."""
ORPHANS = 60.0
"""Seconds after which nothing may be left."""
PARTS = ("gateway", "gateway-proxy", "scheduler", "worker")


class Work:
    """A cluster that computes without end, and writes down each task."""

    def __init__(self, bed: Testbed, progress: Path) -> None:
        self.bed, self.progress = bed, progress
        body = {"options": {"type": "local"}, "scale": {"mode": "fixed", "workers": 2}}
        status, made = bed.call("alice", "POST", "af/clusters", body)
        assert status == 201, made
        self.cluster = str(made["id"])
        self.wait(workers=2)
        dask_client.compute_on(
            bed.environment("alice"), bed.wiring.layout.root, self.cluster, progress
        )
        self.goes_on()

    def wait(self, **facts: Any) -> Any:
        """Wait until the cluster is so."""
        return self.bed.wait(
            "alice", self.cluster, lambda one: all(one[key] == facts[key] for key in facts), 60
        )

    def goes_on(self) -> None:
        """See that tasks are done."""
        before = self.done()
        until(lambda: self.done() > before + 3, 60, "tasks are done")

    def done(self) -> int:
        """Count tasks."""
        return self.progress.stat().st_size if self.progress.exists() else 0

    def processes(self, role: str) -> list[psutil.Process]:
        """Return the processes of the scheduler, or those of the workers."""
        return [one for one in self.bed.cluster_processes(self.cluster) if role in one.cmdline()]


@pytest.fixture
def left(bed: Testbed) -> Iterator[list[Work]]:
    """Collect what a test makes; nothing of it may be left in time."""
    made: list[Work] = []
    yield made
    for work in made:
        bed.call("alice", "DELETE", f"af/clusters/{work.cluster}")

    def nothing() -> bool:
        return not any(
            bed.cluster_processes(work.cluster) or bed.folder(work.cluster).exists()
            for work in made
        )

    until(nothing, ORPHANS, "no process and no folder is left")


def listed(bed: Testbed, work: Work, state: str) -> None:
    """See that the cluster is in its owner's list again, in time."""
    begin = time.monotonic()

    def there() -> bool:
        status, answer = bed.call("alice", "GET", "af/clusters")
        states = {one["id"]: one["state"] for one in answer["clusters"]} if status == 200 else {}
        return states.get(work.cluster) == state

    until(there, LISTED, f"the cluster is {state}")
    print(f"{state} again after {time.monotonic() - begin:.2f} s")


def strike(bed: Testbed, work: Work, part: str) -> bool:
    """Kill one part, and see that the rest bears it; tell whether the cluster still lives."""
    if part == "scheduler":
        for process in work.processes("scheduler"):
            process.kill()
        listed(bed, work, "failed")
        reason = work.wait(state="failed")["reason"]
        assert "scheduler" in reason
        return False
    if part == "worker":
        # a nanny and its worker are ended together, as by a machine that dies
        victim = work.processes("worker")[0]
        for process in [*victim.children(recursive=True), victim]:
            process.kill()
        psutil.wait_procs([victim], 10)
        listed(bed, work, "running")
        until(lambda: len({p.pid for p in work.processes("worker")} - {victim.pid}) >= 2, 60, "two")
        work.wait(workers=2)
    else:
        scheduler = work.processes("scheduler")[0].pid
        bed.kill(part)
        work.goes_on()
        bed.restart(part)
        listed(bed, work, "running")
        assert work.processes("scheduler")[0].pid == scheduler
        if part == "gateway-proxy":
            home = bed.wiring.layout.root
            answer = dask_client.run_client(bed.environment("alice"), home, work.cluster, 1)
            assert answer.get("sum") == 6, answer
    work.goes_on()
    return True


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_clusters_are_listed_and_compute_on_when_each_part_is_killed_in_any_order(
    bed: Testbed, left: list[Work], tmp_path: Path, seed: int
) -> None:
    order = random.Random(seed).sample(PARTS, len(PARTS))  # noqa: S311  not for secrets
    work: Work | None = None
    for number, part in enumerate(order):
        if work is None:
            work = Work(bed, tmp_path / f"progress-{number}")
            left.append(work)
        if not strike(bed, work, part):
            work = None


def test_a_cluster_fails_with_a_reason_when_its_scheduler_died_while_the_gateway_was_away(
    bed: Testbed, left: list[Work], tmp_path: Path
) -> None:
    work = Work(bed, tmp_path / "progress")
    left.append(work)
    bed.kill("gateway")
    for process in work.processes("scheduler"):
        process.kill()
    bed.restart("gateway")
    listed(bed, work, "failed")
    assert "scheduler" in work.wait(state="failed")["reason"]


def test_what_no_record_knows_is_ended_and_what_is_anothers_is_not(bed: Testbed) -> None:
    name, folder = "e" * 32, bed.folder("e" * 32)
    folder.mkdir()
    os.utime(folder, (time.time() - 60, time.time() - 60))
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]

    def start(place: str) -> subprocess.Popen[bytes]:
        marks = {"DASK_GATEWAY_CLUSTER_NAME": name, "AF_CLUSTER_FOLDER": place}
        return subprocess.Popen(sleeper, env={**os.environ, **marks}, start_new_session=True)

    orphan, other = start(str(folder)), start(f"/another/gateway/{name}")
    try:
        until(lambda: orphan.poll() is not None and not folder.exists(), ORPHANS, "it is ended")
        assert other.poll() is None
    finally:
        for process in (orphan, other):
            process.kill()
            process.wait()
