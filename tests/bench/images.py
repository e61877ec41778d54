"""How long container images take from nothing and when nothing has changed, and how large they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.figure import Figure

ROOT = Path(__file__).resolve().parents[2]

LIMIT = 3600.0
"""Seconds for all images from nothing."""


def build(home: Path) -> float:
    """Build the default images into `home`; return the seconds it took."""
    begin = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "tools.images", "build"],
        cwd=ROOT,
        env={**os.environ, "AF_IMAGES_HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")},
        stdout=subprocess.DEVNULL,
        check=True,
        timeout=LIMIT,
    )
    return time.perf_counter() - begin


def records(home: Path) -> list[dict[str, Any]]:
    """Return the records of what was built last."""
    links = sorted(path for path in home.glob("*.json") if path.is_symlink())
    return [json.loads(path.read_text()) for path in links]


def measure() -> list[Figure]:
    """Build with every cache empty, then three times with nothing to do."""
    # not below /tmp, which may be in memory: layers need gigabytes
    with tempfile.TemporaryDirectory(prefix="af-bench-", dir="/var/tmp") as folder:
        home = Path(folder)
        try:
            cold = build(home)
            unchanged = tuple(build(home) for _ in range(3))
            built = records(home)
        finally:
            # containers' storage mounts itself
            subprocess.run(["umount", "--lazy", home / "storage/overlay"], check=False)
    parts = ", ".join(f"{each['name']} {each['seconds']:.0f} s" for each in built)
    return [
        Figure(
            "all images with every cache empty",
            (cold / 60,),
            "min",
            "≤ 5 min",
            lambda value: value <= 5,
            note=f"{parts}; the rest are bases, front end, proxy and wheel",
        ),
        Figure("all images, unchanged", unchanged, "s", "≤ 10 s", lambda value: value <= 10),
        *(
            Figure(
                f"size of the image {each['name']}, compressed",
                (each["size"] / 1e6,),
                "MB",
                "",
                lambda _: True,
                note=f"unpacked {each['unpacked'] / 1e6:.0f} MB",
            )
            for each in built
        ),
    ]
