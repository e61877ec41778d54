"""A JupyterLab server in a process of its own, and what one request costs it."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil

from bench.lab_start import TIMEOUT, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

TOKEN = "bench"

LONGEST = 900.0
"""Seconds for one request; a peer may take minutes."""


@dataclass(frozen=True)
class Stream:
    """One streamed answer.

    Parameters
    ----------
    first
        Seconds to the first bytes of the body.
    complete
        Seconds to the end.
    body
        The whole body.
    grown
        MB by which the server's resident memory was larger than before, at its peak.
    """

    first: float
    complete: float
    body: bytes
    grown: float


@dataclass(frozen=True)
class LabProcess:
    """A running server."""

    url: str
    process: psutil.Process

    def request(self, path: str, *, method: str = "GET", body: Any = None) -> Any:
        """Ask the server; returns the open answer."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"token {TOKEN}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        return urllib.request.urlopen(request, timeout=LONGEST)

    def stream(self, path: str) -> Stream:
        """GET a path and watch the clock and the server's memory."""
        before = self.process.memory_info().rss
        peak, done = before, threading.Event()

        def watch() -> None:
            nonlocal peak
            while not done.wait(0.01):
                peak = max(peak, self.process.memory_info().rss)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            begin = time.perf_counter()
            with self.request(path) as answer:
                pieces = [answer.read1()]
                first = time.perf_counter() - begin
                while piece := answer.read1():
                    pieces.append(piece)
            complete = time.perf_counter() - begin
        finally:
            done.set()
            watcher.join()
        return Stream(first, complete, b"".join(pieces), (peak - before) / 1e6)


@contextmanager
def lab_process(
    python: Path | str, folder: Path, config: Mapping[str, Any], environment: Mapping[str, str]
) -> Iterator[LabProcess]:
    """Run JupyterLab with a Python environment of its own.

    Parameters
    ----------
    python
        Interpreter of the environment.
    folder
        Empty folder for everything that it writes.
    config
        Traitlets configuration, as JSON has it.
    environment
        Variables to add.
    """
    port = free_port()
    settings = folder / "config.json"
    settings.write_text(json.dumps({"IdentityProvider": {"token": TOKEN}, **config}))
    command = [
        str(python),
        *("-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"),
        f"--port={port}",
        f"--config={settings}",
        f"--ServerApp.root_dir={folder}",
    ]
    variables = {
        **{name: each for name, each in os.environ.items() if not name.startswith("JUPYTER")},
        "JUPYTER_CONFIG_DIR": str(folder),
        "HOME": str(folder),
        **environment,
    }
    log = folder / "lab.log"
    with (
        log.open("wb") as stream,
        subprocess.Popen(command, stdout=stream, stderr=stream, env=variables) as process,
    ):
        lab = LabProcess(f"http://127.0.0.1:{port}/", psutil.Process(process.pid))
        try:
            deadline = time.perf_counter() + TIMEOUT
            while True:
                try:
                    lab.request("api/status").close()
                    break
                except OSError:
                    if process.poll() is not None or time.perf_counter() > deadline:
                        raise RuntimeError(log.read_text()) from None
                    time.sleep(0.05)
            yield lab
        finally:
            process.terminate()
            process.wait(30)
