"""Z→μμ through a clicked cluster beside plain uproot in two processes, over the same storage.

The analysis is the cell of ``examples/zmumu.ipynb``; so is the way it reads.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import psutil

from af_hub.compute.settings import dask_access
from af_hub.facility import load
from bench.figure import Figure
from testbed.facility import Facility, User, running_facility, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
FILES = 4
EVENTS = 500_000
"""Events in each file; one piece of work is half a file."""
PIECE = 250_000
RUNS = 5


def notebook_source() -> str:
    """Return the cells of the notebook that read and analyse."""
    notebook = nbformat.read(  # type: ignore[no-untyped-call]
        ROOT / "examples" / "zmumu.ipynb", as_version=4
    )
    wanted = {"reading", "analysis"}
    return "\n".join(
        cell.source for cell in notebook.cells if wanted & set(cell.metadata.get("tags", ()))
    )


def analysis(source: str, store: str) -> Callable[..., Any]:
    """Define the notebook's functions and return the analysis.

    A module of the given name exists nowhere, so Dask takes them to the workers by value, as it
    does with those of a notebook.
    """
    space: dict[str, Any] = {"store": store, "__name__": "zmumu_notebook"}
    exec(source, space)  # noqa: S102 - our own notebook
    found: Callable[..., Any] = space["dimuon_mass"]
    return found


def piece_of_work(source: str, store: str, piece: tuple[str, int, int]) -> tuple[int, Any]:
    """Analyse one piece in a plain process."""
    count, histogram = analysis(source, store)(*piece)
    return int(count), histogram


def plain(source: str, store: str, pieces: list[tuple[str, int, int]], pool: Any) -> float:
    """Return events per second of two plain processes."""
    begin = time.perf_counter()
    results = pool.starmap(piece_of_work, [(source, store, piece) for piece in pieces], 1)
    return float(sum(count for count, _ in results) / (time.perf_counter() - begin))


def on_cluster(source: str, store: str, pieces: list[tuple[str, int, int]], client: Any) -> float:
    """Return events per second of the cluster's two workers."""
    begin = time.perf_counter()
    columns = zip(*pieces, strict=True)
    results = client.gather(client.map(analysis(source, store), *columns, pure=False))
    return float(sum(count for count, _ in results) / (time.perf_counter() - begin))


def storage_port(facility: Facility) -> int:
    """Return the port of the storage from the facility file."""
    door = load(facility.layout.facility_file).storage[0]
    return int(door.url.split(":")[2].split("/")[0])


def token_file(facility: Facility) -> str:
    """Return where the Lab of the only user keeps its token, once it is there."""

    def search() -> str | None:
        for pid in facility.processes:
            with suppress(psutil.Error):
                path = psutil.Process(pid).environ().get("BEARER_TOKEN_FILE")
                if path and Path(path).is_file():
                    return path
        return None

    return str(wait_for(search, "the Lab's token file"))


@contextmanager
def gateway_of(facility: Facility, user: User) -> Iterator[Any]:
    """Give a Dask Gateway client that acts for a logged-in user."""
    from dask_gateway import Gateway
    from dask_gateway.auth import JupyterHubAuth

    scopes = {"scopes": [*dask_access()], "expires_in": 3600}
    token = user.api("POST", f"users/{user.name}/tokens", json.dumps(scopes).encode()).json["token"]
    settings = load(facility.layout.facility_file).compute.gateway
    assert settings is not None
    with Gateway(
        address=settings.address,
        proxy_address=settings.proxy_address,
        auth=JupyterHubAuth(api_token=token),
    ) as gateway:
        yield gateway


def measure() -> list[Figure]:
    """Run both in turn over 2 M events; the first pair is cold and shown apart."""
    source = notebook_source()
    with (
        tempfile.TemporaryDirectory(prefix="af-bench-") as folder,
        running_facility(Path(folder) / "data") as facility,
    ):
        store_folder = facility.data / "storage" / "store" / "bench"
        command = [sys.executable, "-m", "af_hub.embedded.events", str(store_folder)]
        subprocess.run(
            [*command, f"--files={FILES}", f"--events={EVENTS}"], check=True, capture_output=True
        )
        # the files lie where members of /cms may read
        target = facility.data / "storage" / "store" / "cms" / "bench"
        (store_folder / "cms" / "zmumu").rename(target)
        store = f"https://127.0.0.1:{storage_port(facility)}/store"
        pieces = [
            (f"{store}/cms/bench/zmumu_{number}.root", start, start + PIECE)
            for number in range(FILES)
            for start in range(0, EVENTS, PIECE)
        ]
        alice = facility.log_in("alice")
        alice.start_server("analysis")
        os.environ["BEARER_TOKEN_FILE"] = token_file(facility)
        os.environ["SSL_CERT_FILE"] = str(facility.layout.ca_bundle)
        with gateway_of(facility, alice) as gateway:
            cluster = gateway.new_cluster(type="local")
            try:
                cluster.scale(2)
                client = cluster.get_client()
                client.wait_for_workers(2, timeout=60)
                with multiprocessing.get_context("spawn").Pool(2) as pool:
                    pairs = [
                        (
                            on_cluster(source, store, pieces, client),
                            plain(source, store, pieces, pool),
                        )
                        for _ in range(RUNS + 1)
                    ]
                client.close()
            finally:
                cluster.close(shutdown=True)
    cold, warm = pairs[0], pairs[1:]
    return [
        Figure(
            "Z→μμ on the clicked cluster, of plain uproot in two processes",
            tuple(100 * ours / theirs for ours, theirs in warm),
            "%",
            "≥ 90 %",
            lambda value: value >= 90,
            f"cluster {statistics.median(o for o, _ in warm) / 1e6:.2f} M events/s, "
            f"plain {statistics.median(t for _, t in warm) / 1e6:.2f} M events/s",
            f"{FILES * EVENTS:,} events, {PIECE:,} a piece; cold: "
            f"{cold[0] / 1e6:.2f} against {cold[1] / 1e6:.2f} M events/s",
        )
    ]
