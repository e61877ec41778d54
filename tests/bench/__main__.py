"""Entry point: ``make bench`` or ``make bench ARGS="lab_start zmumu"``."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.figure import header

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
    print(header(), flush=True)
    failed = []
    for name in arguments or NAMES:
        print(f"… {name}", file=sys.stderr, flush=True)
        try:
            figures = importlib.import_module(f"bench.{name}").measure()
        except Exception:  # noqa: BLE001  the others are worth an hour
            traceback.print_exc()
            failed.append(name)
            continue
        for figure in figures:
            print(figure.row(), flush=True)
    if failed:
        sys.exit(f"no figures from {', '.join(failed)}")


if __name__ == "__main__":
    main(sys.argv[1:])
