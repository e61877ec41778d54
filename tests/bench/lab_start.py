"""What our server extension adds to the start and the memory of a plain JupyterLab."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import psutil

from bench.figure import Figure

RUNS = 11
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


def extension_seconds() -> float:
    """Return the seconds of processor time that our server extension takes in one start."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            str(Path(__file__).with_name("extension_load.py")),
            *("--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={free_port()}"),
            f"--ServerApp.root_dir={folder}",
        ]
        environment = {**os.environ, "JUPYTER_CONFIG_DIR": folder, "HOME": folder}
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, env=environment, timeout=TIMEOUT
        )
    return float(json.loads(done.stdout.splitlines()[-1])["af_labextension"])


def measure() -> list[Figure]:
    """Measure plain and extended Lab in turn, so that a slow minute hits both."""
    loads = tuple(1000 * extension_seconds() for _ in range(RUNS))
    runs: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    with tempfile.TemporaryDirectory() as folder:
        one_start(extension=False, folder=Path(folder))  # warms the page cache; not counted
        for _ in range(RUNS):
            for extension in (False, True):
                runs[extension].append(one_start(extension=extension, folder=Path(folder)))
    # whatever else the machine does only adds, so the fastest runs are compared
    ours, plain = (
        [min(column) for column in zip(*runs[kind], strict=True)] for kind in (True, False)
    )
    spread = max(run[0] for run in runs[False]) - plain[0]
    note = f"fastest of {RUNS} each; plain runs differ by up to {spread:.2f} s"
    return [
        Figure(
            "Lab start added",
            (1000 * (ours[0] - plain[0]),),
            "ms",
            "≤ 50 ms",
            lambda value: value <= 50,
            f"plain Lab {plain[0]:.2f} s",
            note,
        ),
        Figure(
            "processor time of our server extension in Lab's start",
            loads,
            "ms",
            "≤ 50 ms",
            lambda value: value <= 50,
            "import, link and load, as jupyter_server calls them",
        ),
        Figure(
            "Lab memory added",
            tuple(
                mine[1] - theirs[1] for mine, theirs in zip(runs[True], runs[False], strict=True)
            ),
            "MB",
            "≤ 5 MB",
            lambda value: value <= 5,
            f"plain Lab {plain[1]:.0f} MB",
        ),
    ]
