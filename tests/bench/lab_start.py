"""What our server extension adds to the start and the memory of a plain JupyterLab."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import psutil

from bench.figure import Figure

RUNS = 7
TIMEOUT = 60.0
"""Seconds."""


def free_port() -> int:
    """Ask the system for a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def one_start(*, extension: bool, folder: Path) -> tuple[float, float]:
    """Start JupyterLab once.

    Returns
    -------
    tuple of float
        Seconds until ``/api/status`` answers, and resident MB two seconds later.
    """
    port = free_port()
    command = [
        sys.executable,
        *("-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"),
        f"--port={port}",
        "--ServerApp.port_retries=0",
        "--IdentityProvider.token=",
        f"--ServerApp.root_dir={folder}",
        f"--ServerApp.jpserver_extensions={{'af_labextension': {extension}}}",
    ]
    environment = {**os.environ, "JUPYTER_CONFIG_DIR": str(folder), "HOME": str(folder)}
    begin = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    ) as lab:
        try:
            while True:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/api/status", timeout=2).close()
                    break
                except OSError:
                    if time.perf_counter() - begin > TIMEOUT or lab.poll() is not None:
                        raise
                    time.sleep(0.005)
            seconds = time.perf_counter() - begin
            time.sleep(2.0)
            return seconds, psutil.Process(lab.pid).memory_info().rss / 1e6
        finally:
            lab.terminate()
            lab.wait(20)


def measure() -> list[Figure]:
    """Measure plain and extended Lab in turn, so that a slow minute hits both."""
    runs: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    with tempfile.TemporaryDirectory() as folder:
        one_start(extension=False, folder=Path(folder))  # warms the page cache; not counted
        for _ in range(RUNS):
            for extension in (False, True):
                runs[extension].append(one_start(extension=extension, folder=Path(folder)))
    pairs = list(zip(runs[True], runs[False], strict=True))
    plain_s = statistics.median(s for s, _ in runs[False])
    plain_mb = statistics.median(m for _, m in runs[False])
    return [
        Figure(
            "Lab start added",
            tuple(1000 * (ours[0] - plain[0]) for ours, plain in pairs),
            "ms",
            "≤ 50 ms",
            lambda value: value <= 50,
            f"plain Lab {plain_s:.2f} s",
        ),
        Figure(
            "Lab memory added",
            tuple(ours[1] - plain[1] for ours, plain in pairs),
            "MB",
            "≤ 5 MB",
            lambda value: value <= 5,
            f"plain Lab {plain_mb:.0f} MB",
        ),
    ]
