"""Entry point: ``make bench`` or ``make bench ARGS="lab_start zmumu"``."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.figure import Figure, table

NAMES = (
    "lab_start",
    "start",
    "clicks",
    "spawn_page",
    "in_lab",
    "zmumu",
    "data_start",
    "datasets",
    "directories",
    "identity",
    "identity_herd",
    "tokens",
    "relay",
    "kube_spawn",
    "kube_spawns",
    "kube_burst",
    "kube_events",
    "kube_gpu_counts",
    "kube_start",
    "memory",
    "images",
)


def main(arguments: list[str]) -> None:
    """Run the named benches, all without names, and print one table."""
    unknown = set(arguments) - set(NAMES)
    if unknown:
        sys.exit(f"no bench named {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    figures: list[Figure] = []
    for name in arguments or NAMES:
        print(f"… {name}", file=sys.stderr, flush=True)
        figures += importlib.import_module(f"bench.{name}").measure()
    print(table(figures))


if __name__ == "__main__":
    main(sys.argv[1:])
