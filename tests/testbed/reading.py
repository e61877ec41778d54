"""A notebook with four local Dask workers that read through the XCache while tokens come and go.

The program (``python -m testbed.reading``) is a user's: nothing in it knows of our readers. It
opens, lists and reads again and again in its own process and in each worker, by uproot's two ways
and by fsspec, until the file ``stop`` is there, and prints what failed.

`connections` reads from the cache's log how many connections each process had at once.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import uproot

from testbed.wall_clock import follow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed.xrootd import Stack

WORKERS = 4
EVENTS = 1000
PAUSE = 0.1
"""Seconds between rounds of a reader."""

TESTS = str(Path(__file__).parents[1])
"""Where programs find this package."""

CLOCK = "AF_TEST_CLOCK"
"""Environment variable: the file that says how far the wall clocks are ahead."""


def fill(stack: Stack, folder: str) -> None:
    """Put ROOT files into a folder below the store."""
    target = stack.layout.store / folder.lstrip("/")
    target.mkdir(parents=True)
    for name in ("a", "b"):
        with uproot.recreate(target / f"{name}.root") as file:
            file.mktree("Events", {"pt": "float64"})
            file["Events"].extend({"pt": np.arange(float(EVENTS))})


def read_on(server: str, now: str, stop: str) -> dict[str, Any]:
    """Read until the file `stop` is there; the file `now` names the folder to read.

    Returns
    -------
    dict
        ``pid``, ``operations``, ``failures``, ``folders`` that were read.
    """
    import fsspec

    begun = time.time() - time.monotonic()
    follow(os.environ.get(CLOCK, "/nonexistent"))
    done: dict[str, Any] = {"pid": os.getpid(), "operations": 0, "failures": [], "folders": []}
    system = fsspec.filesystem("root", hostid=server)

    def total(folder: str, **options: Any) -> None:
        with uproot.open(f"root://{server}/{folder}/a.root", **options) as file:
            assert file["Events"]["pt"].array(library="np").sum() == EVENTS * (EVENTS - 1) / 2

    def listing(folder: str) -> None:
        assert len(system.ls(folder, force_update=True)) == 2

    def piece(folder: str) -> None:
        assert system.cat_file(f"{folder}/b.root", 0, 4) == b"root"

    ways: dict[str, Callable[[str], Any]] = {
        "uproot": total,
        "uproot's own source": lambda folder: total(folder, handler=uproot.XRootDSource),
        "list": listing,
        "read": piece,
        "look": lambda folder: system.info(f"{folder}/b.root"),
    }
    while not Path(stop).exists():
        folder = Path(now).read_text()
        for name, way in ways.items():
            done["operations"] += 1
            try:
                way(folder)
            except Exception as error:  # noqa: BLE001 - every failure counts
                when = time.strftime("%H:%M:%S", time.gmtime(begun + time.monotonic()))
                done["failures"].append(f"{when} {folder} {name}: {error!r}"[:300])
        if folder not in done["folders"]:
            done["folders"].append(folder)
        time.sleep(PAUSE)
    return done


def main() -> None:
    """Read here and in four workers; prints ``ready``, and at the end what came out."""
    from distributed import Client, LocalCluster

    server, now, stop, folder = sys.argv[1:]
    with (
        LocalCluster(  # type: ignore[no-untyped-call]  # upstream
            n_workers=WORKERS,
            threads_per_worker=1,
            dashboard_address=None,
            worker_dashboard_address=None,
            local_directory=folder,
        ) as cluster,
        Client(cluster) as client,  # type: ignore[no-untyped-call]  # upstream
    ):
        tasks = [
            client.submit(read_on, server, now, stop, workers=[name], pure=False)
            for name in client.scheduler_info()["workers"]
        ]
        print("ready", flush=True)
        here = read_on(server, now, stop)
        print(json.dumps([here, *client.gather(tasks)]), flush=True)


class Reading:
    """The running program.

    Parameters
    ----------
    stack
        The servers.
    folder
        For its files.
    environment
        What it has beside the token file.
    token_file
        Where somebody else keeps the token; None: the test does, by `renew`.
    """

    def __init__(
        self,
        stack: Stack,
        folder: Path,
        environment: dict[str, str],
        token_file: Path | None = None,
    ) -> None:
        self.token_file = token_file or folder / "token"
        self._now, self._stop = folder / "now", folder / "stop"
        self._folder, self._stack, self._environment = folder, stack, environment

    def renew(self, token: str) -> None:
        """Replace the token, as the Lab does."""
        new = self.token_file.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(token)
        new.replace(self.token_file)

    def look_at(self, folder: str) -> None:
        """Name the folder to read from now on."""
        new = self._now.with_suffix(".new")
        new.write_text(folder)
        new.replace(self._now)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start the program; it is ended in any case."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),
            "X509_CERT_DIR": str(self._stack.layout.certificates),
            "BEARER_TOKEN_FILE": str(self.token_file),
            "PYTHONPATH": TESTS,
            **self._environment,
        }
        program = [sys.executable, "-m", "testbed.reading", f"127.0.0.1:{self._stack.port}"]
        self._errors = (self._folder / "errors").open("w+")
        self._process = subprocess.Popen(
            [*program, str(self._now), str(self._stop), str(self._folder / "dask")],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        try:
            assert self._process.stdout is not None
            ready = self._process.stdout.readline()
            assert ready == "ready\n", self._said()
            yield
        finally:
            self._stop.touch()
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._errors.close()

    def results(self) -> list[dict[str, Any]]:
        """End the program and return what each reader says."""
        self._stop.touch()
        output, _ = self._process.communicate(timeout=120)
        assert self._process.returncode == 0, self._said()
        said: list[dict[str, Any]] = json.loads(output.splitlines()[-1])
        return said

    def _said(self) -> str:
        return (self._folder / "errors").read_text()[-3000:]


_LOGIN = re.compile(r" (\w+)\.(\d+):(\d+)@\S+ .*login as ")
_END = re.compile(r" (\w+)\.(\d+):(\d+)@\S+ disc ")


def connections(log: str) -> dict[int, int]:
    """Return the largest number of connections at once for each client process in a cache's log."""
    open_now: dict[int, set[tuple[str, str]]] = defaultdict(set)
    most: dict[int, int] = defaultdict(int)
    for line in log.splitlines():
        if found := _LOGIN.search(line):
            pid = int(found[2])
            open_now[pid].add((found[1], found[3]))
            most[pid] = max(most[pid], len(open_now[pid]))
        elif found := _END.search(line):
            open_now[int(found[2])].discard((found[1], found[3]))
    return dict(most)


if __name__ == "__main__":
    main()
