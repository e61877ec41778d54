"""Ways to run Z→μμ: each is started once, and then gives one pass over all events at a call.

The analyses are the cells of the notebooks in ``examples/`` that are tagged so.
"""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from testbed.notebooks import ROOT, analysis_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Histogram = list[int]
    Way = Callable[[], "Pass"]

WORKERS = 2
"""Workers of each cluster."""
ROOT_PYTHON = ROOT / ".venv-root" / "bin" / "python"


@dataclass(frozen=True)
class Pass:
    """One pass over all events.

    Parameters
    ----------
    events
        Number of events that were read.
    seconds
        How long it took.
    histogram
        Muon pairs by mass: every way must find the same ones.
    """

    events: int
    seconds: float
    histogram: Histogram

    @property
    def rate(self) -> float:
        """Millions of events in a second."""
        return self.events / self.seconds / 1e6


@dataclass(frozen=True)
class Work:
    """What is to be read.

    Parameters
    ----------
    urls
        The files over https.
    xrootd_urls
        The same files over XRootD; empty if the facility has none.
    events
        Number of events in each.
    piece
        Events in one piece of work.
    """

    urls: tuple[str, ...]
    xrootd_urls: tuple[str, ...]
    events: int
    piece: int

    @property
    def pieces(self) -> list[tuple[str, int, int]]:
        """Address, first event and the one after the last."""
        starts = range(0, self.events, self.piece)
        return [(url, start, start + self.piece) for url in self.urls for start in starts]


@cache
def functions(name: str) -> dict[str, Any]:
    """Define what a notebook defines.

    A module of the given name exists nowhere, so Dask takes the functions to the workers by value,
    as it does with those of a notebook.
    """
    space: dict[str, Any] = {"__name__": "zmumu_notebook"}
    exec(analysis_source(name), space)  # noqa: S102 - our own notebook
    return space


def _together(results: Sequence[tuple[int, Any]], begin: float) -> Pass:
    seconds = time.perf_counter() - begin
    histogram: Histogram = sum(counts for _, counts in results).tolist()
    return Pass(sum(int(count) for count, _ in results), seconds, histogram)


def _one_piece(piece: tuple[str, int, int]) -> tuple[int, Any]:
    count, histogram = functions("zmumu.ipynb")["dimuon_mass"](*piece)
    return int(count), histogram


@contextmanager
def plain(work: Work, processes: int) -> Iterator[Way]:
    """Read by uproot in plain processes."""
    with multiprocessing.get_context("spawn").Pool(processes) as pool:

        def run() -> Pass:
            begin = time.perf_counter()
            return _together(pool.map(_one_piece, work.pieces, 1), begin)

        yield run


@contextmanager
def cluster_of(gateway: Any, **options: Any) -> Iterator[Any]:
    """Give a cluster of its own with its workers."""
    cluster = gateway.new_cluster(type="local", **options)
    try:
        cluster.scale(WORKERS)
        with cluster.get_client() as client:
            client.wait_for_workers(WORKERS, timeout=120)
            yield client
    finally:
        cluster.close(shutdown=True)


@contextmanager
def clicked(work: Work, gateway: Any) -> Iterator[Way]:
    """Read by uproot on a cluster, as ``zmumu.ipynb`` does."""
    analysis = functions("zmumu.ipynb")["dimuon_mass"]
    with cluster_of(gateway) as client:

        def run() -> Pass:
            begin = time.perf_counter()
            columns = zip(*work.pieces, strict=True)
            return _together(client.gather(client.map(analysis, *columns, pure=False)), begin)

        yield run


@contextmanager
def coffea(work: Work, gateway: Any) -> Iterator[Way]:
    """Read by coffea on a cluster, as ``zmumu_coffea.ipynb`` does."""
    from coffea import processor

    space = functions("zmumu_coffea.ipynb")
    with cluster_of(gateway) as client:
        executor = processor.DaskExecutor(client=client, status=False)
        runner = processor.Runner(executor, schema=space["Schema"], chunksize=work.piece)

        def run() -> Pass:
            begin = time.perf_counter()
            result = runner({"ZMuMu": [*work.urls]}, space["DimuonMass"](), treename="Events")
            seconds = time.perf_counter() - begin
            return Pass(result["events"], seconds, [int(each) for each in result["mass"].values()])

        yield run


RDATAFRAME = """
import hashlib, json, os, pathlib, sys, time, warnings
warnings.simplefilter("ignore")
import ROOT
from dask_gateway import Gateway

{source}

def connected(url):
    # as in the notebook; and without a user ROOT takes a server of this machine for the local disk
    token = pathlib.Path(os.environ["BEARER_TOKEN_FILE"]).read_bytes().strip()
    return url.replace("://", "://t" + hashlib.sha256(token).hexdigest()[:7] + "@", 1)

client = Gateway().connect(sys.argv[1]).get_client()
for line in sys.stdin:  # a line is an order for one pass
    begin = time.perf_counter()
    files = [connected(url) for url in json.loads(line)]
    events = ROOT.RDataFrame("Events", files, executor=client, npartitions=8)
    count, mass = dimuon_mass(events)
    read = count.GetValue()
    seconds = time.perf_counter() - begin
    histogram = [int(mass.GetBinContent(number)) for number in range(1, 121)]
    print("\\nPASS", json.dumps([int(read), seconds, histogram]), flush=True)
"""
"""Runs in ROOT's environment; Dask's progress bar goes to the same output."""


@contextmanager
def rdataframe(work: Work, gateway: Any, environment: Mapping[str, str]) -> Iterator[Way]:
    """Read by distributed RDataFrame on a cluster with ROOT, as ``zmumu_rdataframe.ipynb`` does.

    Parameters
    ----------
    environment
        Of the Lab: it says where the gateway and the token are.
    """
    script = RDATAFRAME.format(source=analysis_source("zmumu_rdataframe.ipynb"))
    with (
        cluster_of(gateway, image="root", worker_memory="2G") as client,
        subprocess.Popen(
            [str(ROOT_PYTHON), "-c", script, client.cluster.name],
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=sys.stderr,
            text=True,
        ) as process,
    ):

        def run() -> Pass:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(work.xrootd_urls) + "\n")
            process.stdin.flush()
            for line in process.stdout:
                if line.startswith("PASS "):
                    return Pass(*json.loads(line.removeprefix("PASS ")))
            raise RuntimeError("the process with ROOT has ended")

        try:
            yield run
        finally:
            process.kill()
