"""How long a newcomer waits: cold ``make run`` in a fresh clone, and the second one."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from bench.figure import Figure
from bench.lab_start import free_port

ROOT = Path(__file__).resolve().parents[2]
COLD_LIMIT = 1080.0
"""Seconds; three times the promise."""


def until_login(checkout: Path, home: Path, port: int) -> float:
    """Run ``make run`` until its login page answers, then end it by Ctrl-C.

    Returns
    -------
    float
        Seconds from the command to the page.
    """
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        **{
            k: v for k, v in os.environ.items() if k.endswith(("_CA_BUNDLE", "_CERT_FILE", "_CERT"))
        },
        **{k: v for k, v in os.environ.items() if k.startswith(("PIP_", "npm_config_", "NODE_"))},
    }
    begin = time.perf_counter()
    command = ["make", "run", f"ARGS=--port {port}"]
    with subprocess.Popen(
        command, cwd=checkout, env=environment, start_new_session=True, stdout=subprocess.DEVNULL
    ) as run:
        try:
            while True:
                try:
                    # the button of the hub's login page leads to the form of the IAM
                    button = f"http://127.0.0.1:{port}/hub/oauth_login?next=%2F"
                    with urllib.request.urlopen(button, timeout=5) as page:
                        assert b'id="username"' in page.read()
                        return time.perf_counter() - begin
                except OSError:
                    if run.poll() is not None or time.perf_counter() - begin > COLD_LIMIT:
                        raise
                    time.sleep(0.05)
        finally:
            os.killpg(run.pid, signal.SIGINT)
            run.wait(60)


def measure() -> list[Figure]:
    """Measure one cold start with empty caches and three warm ones."""
    with tempfile.TemporaryDirectory(prefix="af-bench-") as folder:
        checkout, home = Path(folder) / "checkout", Path(folder) / "home"
        home.mkdir()
        subprocess.run(["git", "clone", "-q", str(ROOT), str(checkout)], check=True)
        port = free_port()
        cold = until_login(checkout, home, port)
        warm = tuple(until_login(checkout, home, port) for _ in range(3))
    return [
        Figure("cold make run", (cold / 60,), "min", "≤ 6 min", lambda value: value <= 6),
        Figure("warm make run to a login page", warm, "s", "≤ 20 s", lambda value: value <= 20),
    ]
