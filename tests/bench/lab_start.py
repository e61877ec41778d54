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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from bench.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Mapping

RUNS = 11
TIMEOUT = 60.0
"""Seconds."""


def free_port() -> int:
    """Ask the system for a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def bytecode() -> dict[str, str]:
    """Return the environment, in which Python keeps what it compiles, as an installation does.

    Where it may not, each start compiles all of JupyterLab and of the extension anew: two thirds of
    what the extension's import seemed to take.
    """
    return {name: each for name, each in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@dataclass(frozen=True)
class Start:
    """One start of JupyterLab.

    Parameters
    ----------
    seconds
        Until ``/api/status`` answers.
    processor
        Seconds of processor time until two seconds later.
    memory
        Resident MB two seconds later.
    """

    seconds: float
    processor: float
    memory: float


def one_start(
    folder: Path,
    *,
    on: bool,
    extension: str = "af_labextension",
    python: Path | str = sys.executable,
    environment: Mapping[str, str] | None = None,
) -> Start:
    """Start JupyterLab once.

    Parameters
    ----------
    folder
        Home, configuration and notebooks.
    on
        Whether the extension is on.
    extension
        Name of the server extension.
    python
        Interpreter of the environment.
    environment
        Variables to add.
    """
    port = free_port()
    command = [
        str(python),
        *("-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"),
        f"--port={port}",
        "--ServerApp.port_retries=0",
        "--IdentityProvider.token=",
        f"--ServerApp.root_dir={folder}",
        f"--ServerApp.jpserver_extensions={{'{extension}': {on}}}",
    ]
    variables = {**bytecode(), "JUPYTER_CONFIG_DIR": str(folder), "HOME": str(folder)}
    begin = time.perf_counter()
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**variables, **(environment or {})},
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
            process = psutil.Process(lab.pid)
            spent = process.cpu_times()
            return Start(seconds, spent.user + spent.system, process.memory_info().rss / 1e6)
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
        environment = {**bytecode(), "JUPYTER_CONFIG_DIR": folder, "HOME": folder}
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, env=environment, timeout=TIMEOUT
        )
    return float(json.loads(done.stdout.splitlines()[-1])["af_labextension"])


def measure() -> list[Figure]:
    """Measure plain and extended Lab in turn, so that a slow minute hits both."""
    loads = tuple(1000 * extension_seconds() for _ in range(RUNS))
    runs: dict[bool, list[Start]] = {False: [], True: []}
    with tempfile.TemporaryDirectory() as folder:
        one_start(Path(folder), on=False)  # warms the page cache; not counted
        for _ in range(RUNS):
            for on in (False, True):
                runs[on].append(one_start(Path(folder), on=on))
    # whatever else the machine does only adds, so the fastest runs are compared
    ours, plain = (min(run.seconds for run in runs[on]) for on in (True, False))
    memory = min(run.memory for run in runs[False])
    spread = max(run.seconds for run in runs[False]) - plain
    note = f"fastest of {RUNS} each; plain runs differ by up to {spread:.2f} s"
    return [
        Figure(
            "Lab start added",
            (1000 * (ours - plain),),
            "ms",
            "≤ 50 ms",
            lambda value: value <= 50,
            f"plain Lab {plain:.2f} s",
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
                mine.memory - theirs.memory
                for mine, theirs in zip(runs[True], runs[False], strict=True)
            ),
            "MB",
            "≤ 5 MB",
            lambda value: value <= 5,
            f"plain Lab {memory:.0f} MB",
        ),
    ]
