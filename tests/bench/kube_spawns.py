"""How fast a hub starts pods at a real API server, beside plain KubeSpawner.

The pods ask for a scheduler that does not exist, so that no node takes them, and a program says of
each that it runs. What is measured is the spawner and the API server, which share the machine.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.figure import Figure
from testbed.kube.fixtures import borrowed_cluster
from testbed.kube.settings import from_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.kube.cluster import Cluster

PODS = int(os.environ.get("AF_PODS", "3000"))
RUNS = int(os.environ.get("AF_RUNS", "2"))
LIMIT = 1200
"""Seconds for one run."""


def measure() -> list[Figure]:
    """Measure ours and plain KubeSpawner in turn."""
    with borrowed_cluster(from_environment()) as kube:
        runs = [{name: _run(kube, name) for name in ("ours", "plain")} for _ in range(RUNS)]
    ours, plain = ([run[name] for run in runs] for name in ("ours", "plain"))
    rates = [one["pods"] / one["seconds"] for one in plain]
    shares = [100 * a["cpu"] / b["cpu"] for a, b in zip(ours, plain, strict=True)]
    spent = [1e3 * one["cpu"] / one["pods"] for one in (*ours, *plain)]
    return [
        Figure(
            f"pods started, {PODS:,} asked for, 100 at a time",
            tuple(one["pods"] / one["seconds"] for one in ours),
            "/s",
            "",
            lambda _: True,
            f"plain KubeSpawner {min(rates):.3g} to {max(rates):.3g} /s",
            f"99th percentile of a start {max(one['p99'] for one in ours):.2f} s, "
            f"plain {max(one['p99'] for one in plain):.2f} s",
        ),
        Figure(
            "processor time of the hub for a start, of plain KubeSpawner's",
            tuple(shares),
            "%",
            "≤ 110 %",
            lambda value: value <= 110,
            f"plain {min(spent[RUNS:]):.3g} ms",
            f"ours {min(spent[:RUNS]):.3g} ms",
        ),
    ]


def _run(kube: Cluster, name: str) -> dict[str, Any]:
    """Start all pods once, in a namespace of their own."""
    namespace = f"spawns-{secrets.token_hex(3)}"
    kube.add_namespace(namespace)
    environment = {**os.environ, "KUBECONFIG": str(kube.kubeconfig)}
    try:
        with _program("kube_says_running.py", namespace, environment=environment):
            done = subprocess.run(
                [sys.executable, str(_place("kube_spawns_hub.py")), name, namespace, str(PODS)],
                env=environment,
                stdout=subprocess.PIPE,
                text=True,
                timeout=LIMIT,
                check=True,
            )
    finally:
        # what no node has taken is gone at once
        kube.kubectl("delete", "namespace", namespace, timeout=LIMIT)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@contextmanager
def _program(name: str, *arguments: str, environment: dict[str, str]) -> Iterator[None]:
    command = [sys.executable, str(_place(name)), *arguments]
    with subprocess.Popen(command, env=environment) as process:
        try:
            yield
        finally:
            process.kill()


def _place(name: str) -> Path:
    return Path(__file__).with_name(name)
