"""Z→μμ through a clicked cluster beside plain uproot, coffea and RDataFrame.

Two million events, nine columns. Every way reads the facility's storage with the user's token, and
must find the same histogram.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from af_hub.compute.settings import dask_access
from af_hub.facility import load
from bench.figure import Figure
from bench.zmumu_ways import ROOT_PYTHON, Work, clicked, coffea, plain, rdataframe
from testbed.facility import running_facility
from testbed.lab_terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.zmumu_ways import Pass
    from testbed.facility import Facility, User

FILES = 4
EVENTS = 500_000
"""Events in each file; one piece of work is half a file."""
PIECE = 250_000
RUNS = 5

ONE = "plain uproot, one process"
TWO = "plain uproot, two processes"
CLICKED = "uproot on the clicked cluster, two workers"
COFFEA = "coffea on the clicked cluster, two workers"
RDATAFRAME = "RDataFrame on the clicked cluster, two workers"

PUBLISHED = (
    "published by INFN: 3.3 M events/s with PocketCoffea on 90 workers, 37 k/s each, some 150 B of "
    "each event; other hardware, columns and work, here 40 B of each event from the same machine"
)
"""What the seed paper has: a number to know, not to be compared."""


def simulate(facility: Facility) -> None:
    """Write the events where members of /cms may read them."""
    store = facility.layout.store
    command = [sys.executable, "-m", "af_hub.embedded.events", str(store / "bench")]
    subprocess.run(
        [*command, f"--files={FILES}", f"--events={EVENTS}"], check=True, capture_output=True
    )
    (store / "bench" / "cms" / "zmumu").rename(store / "cms" / "bench")


def work_of(environment: dict[str, str]) -> Work:
    """Say what is read, from what the Lab knows."""
    doors = [door.partition("=")[2] for door in environment["AF_DOORS"].split()]
    xrootd = next((door for door in doors if door.startswith("root://")), None)
    names = [f"cms/bench/zmumu_{number}.root" for number in range(FILES)]
    return Work(
        urls=tuple(f"{environment['AF_STORAGE_URL']}/{name}" for name in names),
        xrootd_urls=tuple(f"{xrootd}/{name}" for name in names) if xrootd else (),
        events=EVENTS,
        piece=PIECE,
    )


def offer_root(facility_file: Path) -> None:
    """Let clusters have the environment of ROOT."""
    document = yaml.safe_load(facility_file.read_text())
    kind = next(one for one in document["compute"]["types"] if one["name"] == "local")
    environment = str(ROOT_PYTHON.parents[1])
    choices = [{"name": "python"}, {"name": "root", "environment": environment}]
    kind["images"] = {"default": "python", "choices": choices}
    facility_file.write_text(yaml.safe_dump(document, sort_keys=False))


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


@contextmanager
def facility_with_events() -> Iterator[Facility]:
    """Give a facility with the events, and with ROOT where it is installed."""
    with tempfile.TemporaryDirectory(prefix="af-bench-") as folder:
        data = Path(folder) / "data"
        if ROOT_PYTHON.exists():
            with running_facility(data) as first:  # writes the facility file
                offer_root(first.layout.facility_file)
                first.stop()
        with running_facility(data) as facility:
            simulate(facility)
            yield facility


def passes() -> dict[str, list[Pass]]:
    """Let all ways take turns; the first pass of each is cold.

    Returns
    -------
    dict
        ``RUNS`` + 1 passes by name of the way.
    """
    with facility_with_events() as facility:
        alice = facility.log_in("alice")
        alice.start_server("analysis")
        environment = Terminal(alice).environment
        work = work_of(environment)
        # this process reads as a kernel of the Lab does, and so do those that it starts
        for name in ("AF_DOORS", "BEARER_TOKEN_FILE", "SSL_CERT_FILE"):
            os.environ[name] = environment[name]
        with gateway_of(facility, alice) as gateway, ExitStack() as stack:
            ways = {
                ONE: plain(work, 1),
                TWO: plain(work, 2),
                CLICKED: clicked(work, gateway),
                COFFEA: coffea(work, gateway),
            }
            if ROOT_PYTHON.exists() and work.xrootd_urls:
                ways[RDATAFRAME] = rdataframe(work, gateway, environment)
            running = {name: stack.enter_context(way) for name, way in ways.items()}
            taken: dict[str, list[Pass]] = {name: [] for name in ways}
            for _ in range(RUNS + 1):
                for name, run in running.items():
                    taken[name].append(run())
    return taken


def measure() -> list[Figure]:
    """Show the target, and each way by itself.

    Raises
    ------
    RuntimeError
        The ways do not agree.
    """
    taken = passes()
    found = {tuple(one.histogram) for each in taken.values() for one in each}
    if len(found) != 1 or {one.events for each in taken.values() for one in each} != {
        FILES * EVENTS
    }:
        raise RuntimeError("the ways do not find the same muon pairs")
    warm = {name: tuple(one.rate for one in each[1:]) for name, each in taken.items()}
    cold = {name: each[0].rate for name, each in taken.items()}
    ratios = tuple(
        100 * ours / theirs for ours, theirs in zip(warm[CLICKED], warm[TWO], strict=True)
    )
    load_now = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    return [
        Figure(
            "Z→μμ on the clicked cluster, of plain uproot in two processes",
            ratios,
            "%",
            "≥ 90 %",
            lambda value: value >= 90,
            f"plain {statistics.median(warm[TWO]):.2f} M events/s",
            f"{FILES * EVENTS:,} events, nine columns, {PIECE:,} a piece; {load_now}",
        ),
        *(
            Figure(
                f"Z→μμ, {name}, warm",
                rates,
                "M events/s",
                "",
                lambda _: True,
                f"cold {cold[name]:.2f} M events/s",
                PUBLISHED if name == CLICKED else "",
            )
            for name, rates in warm.items()
        ),
    ]
