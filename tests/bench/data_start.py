"""How long the data's servers take from nothing to the first answer."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from bench.figure import Figure
from testbed.iam import start_iam
from testbed.rucio import start_rucio
from testbed.xrootd import SERVERS, started_stack

RUNS = 3


def measure() -> list[Figure]:
    """Start each stack from an empty folder, then again on what it has left."""
    cache_cold, cache_warm, rucio_cold, rucio_warm = [], [], [], []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory(prefix="af-bench-") as folder:
            begin = time.perf_counter()
            with started_stack(Path(folder) / "data") as stack:
                cache_cold.append(time.perf_counter() - begin)
                for name in (*SERVERS, "network"):
                    stack.kill(name)
                begin = time.perf_counter()
                stack.start("network", *SERVERS)
                cache_warm.append(time.perf_counter() - begin)
        with tempfile.TemporaryDirectory(prefix="af-bench-") as folder:
            iam = start_iam(Path(folder) / "iam")
            begin = time.perf_counter()
            with start_rucio(Path(folder) / "rucio", iam) as server:
                rucio_cold.append(time.perf_counter() - begin)
                server.stop()
                begin = time.perf_counter()
                server.start()
                rucio_warm.append(time.perf_counter() - begin)
            iam.stop()
    return [
        Figure(
            "XCache stack up, from an empty folder",
            tuple(cache_cold),
            "s",
            "≤ 3 s",
            lambda value: value <= 3,
            note="certificates, inner network, origin, cache and the tests' byte meter",
        ),
        Figure("XCache stack up again", tuple(cache_warm), "s", "≤ 3 s", lambda value: value <= 3),
        Figure(
            "Rucio up, from an empty folder",
            tuple(rucio_cold),
            "s",
            "≤ 8 s",
            lambda value: value <= 8,
            note="SQLite database, catalogue of the demo, server; its environment is installed",
        ),
        Figure("Rucio up again", tuple(rucio_warm), "s", "≤ 8 s", lambda value: value <= 8),
    ]
