"""How long the test cluster takes to start, and the machine to give it up again.

The cold figure, from nothing built, is taken where Go's own cache is empty too; that takes minutes
and gigabytes, so only with ``AF_COLD=1``.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.figure import Figure
from testbed.kube.parts import Parts
from testbed.kube.recipes import PARTS
from testbed.kube.second import command, second_settings
from testbed.kube.tools import BASE, Tools

if TYPE_CHECKING:
    from testbed.kube.settings import Settings

RUNS = 5


def measure() -> list[Figure]:
    """Start a cluster beside the others, again and again."""
    first, warm, again, down = [], [], [], []
    cold = _cold() if os.environ.get("AF_COLD") else None
    with second_settings() as settings:
        first.append(_timed(settings, "up"))
        for _ in range(RUNS):
            again.append(_timed(settings, "up"))
            down.append(_timed(settings, "down"))
            warm.append(_timed(settings, "up"))
        memory = _memory(settings)
    figures = [
        Figure(
            "test cluster up, programs built",
            tuple(warm),
            "s",
            "≤ 20 s",
            lambda value: value <= 20,
            note=f"node and DNS ready; with an empty store of images {first[0]:.1f} s",
        ),
        Figure("… when it is up already", tuple(again), "s", "≤ 2 s", lambda value: value <= 2),
        Figure("test cluster down", tuple(down), "s", "≤ 10 s", lambda value: value <= 10),
        Figure(
            "memory of the cluster's parts",
            (memory,),
            "MB",
            "≤ 1000 MB",
            lambda value: value <= 1000,
            note="resident, without pods",
        ),
    ]
    if cold:
        figures.append(
            Figure(
                "test cluster's programs, from nothing",
                (cold / 60,),
                "min",
                "≤ 10 min",
                lambda value: value <= 10,
                note="modules are fetched, then Kubernetes, CoreDNS and our own are built",
            )
        )
    return figures


def _timed(settings: Settings, *arguments: str) -> float:
    begin = time.perf_counter()
    done = command(settings, *arguments)
    seconds = time.perf_counter() - begin
    assert done.returncode == 0, done.stderr
    return seconds


def _memory(settings: Settings) -> float:
    parts = Parts(settings)
    total = 0
    for name in PARTS:
        if process := parts.process(name):
            pages = Path(f"/proc/{process.pid}/statm").read_text().split()[1]
            total += int(pages) * os.sysconf("SC_PAGE_SIZE")
    return total / 1e6


def _cold() -> float:
    """Return the seconds to build everything where no cache is warm."""
    with tempfile.TemporaryDirectory(prefix="af-cold-") as folder:
        os.environ["GOCACHE"] = f"{folder}/build"
        os.environ["GOMODCACHE"] = f"{folder}/modules"
        try:
            begin = time.perf_counter()
            for name in (*BASE, "kubectl"):
                Tools(Path(folder) / "bin").ensure(name)
            return time.perf_counter() - begin
        finally:
            for name in ("GOCACHE", "GOMODCACHE"):
                os.environ.pop(name, None)
