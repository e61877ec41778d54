"""The notebooks of ``examples/`` in a real facility: its storage, its tokens, its clusters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from nbclient.exceptions import CellExecutionError

from testbed.clusters import Clusters
from testbed.lab_terminal import Terminal
from testbed.notebooks import analysis_source, run_notebook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed.facility import Facility, User

    Run = Callable[..., tuple[Any, str]]

FILES = 4
EVENTS = 400_000
"""Events in those files."""
HISTOGRAM = "{'histogram': [int(each) for each in histogram], 'on': cluster.name, 'read': read}"
"""Asked of a kernel whose notebook has run."""


@pytest.fixture(scope="module")
def alice(facility: Facility) -> Iterator[User]:
    """Give Alice of /cms with a running Lab."""
    user = facility.log_in("alice")
    user.start_server()
    yield user
    user.stop_server()


@pytest.fixture(scope="module")
def run(alice: User) -> Run:
    """Give a function that runs one of Alice's examples as her Lab does."""
    environment = Terminal(alice).environment

    def run(name: str, ask: str) -> tuple[Any, str]:
        # the copy in her folder, which the hub put there
        return run_notebook(Path(environment["HOME"]) / "examples" / name, environment, ask)

    return run


@pytest.fixture(scope="module")
def refused(run: Run) -> str:
    """Give what the first notebook says while there is no cluster."""
    with pytest.raises(CellExecutionError) as caught:
        run("zmumu.ipynb", "None")
    # not the whole text: it shows the cell, which has the sentence in any case
    return f"{caught.value.ename}: {caught.value.evalue}"


@pytest.fixture(scope="module")
def cluster(alice: User, refused: str) -> Iterator[str]:
    """Give a cluster with two workers, as a click makes it."""
    clusters = Clusters(alice)
    made = clusters.make(workers=2, memory="1G")
    yield made
    clusters.ask("DELETE", f"/{made}")
    clusters.wait(made, lambda one: one["state"] == "stopped")


@pytest.fixture(scope="module")
def plain(facility: Facility) -> list[int]:
    """Give the histogram of plain uproot: the files of the disk, no storage, no token, no Dask."""
    space: dict[str, Any] = {}
    exec(analysis_source("zmumu.ipynb"), space)  # noqa: S102 - our own notebook
    folder = facility.layout.store / "cms" / "zmumu"
    results = [space["dimuon_mass"](folder / f"zmumu_{number}.root") for number in range(FILES)]
    assert sum(count for count, _ in results) == EVENTS
    histogram: list[int] = sum(counts for _, counts in results).tolist()
    assert sum(histogram) > 100_000
    return histogram


def test_histogram_of_uproot_is_the_plain_one_bin_by_bin_when_the_clicked_cluster_made_it(
    run: Run, cluster: str, plain: list[int]
) -> None:
    answer, printed = run("zmumu.ipynb", HISTOGRAM)
    assert answer == {"histogram": plain, "on": cluster, "read": EVENTS}
    assert "million events per second" in printed
    assert "The highest bin is at 91.25 GeV" in printed


def test_histogram_of_coffea_is_the_plain_one_bin_by_bin_when_the_clicked_cluster_made_it(
    run: Run, cluster: str, plain: list[int]
) -> None:
    answer, printed = run(
        "zmumu_coffea.ipynb", f"{{'columns': sorted(metrics['columns']), **{HISTOGRAM}}}"
    )
    columns = set(answer.pop("columns"))
    assert answer == {"histogram": plain, "on": cluster, "read": EVENTS}
    assert "The highest bin is at 91.25 GeV" in printed
    # the same nine columns, and no others
    muon = ("pt", "eta", "phi", "mass", "charge", "tightId", "pfRelIso04_all")
    assert columns == {"HLT_IsoMu24-data", "nMuon-offsets", *(f"Muon_{one}-data" for one in muon)}


def test_adaboost_tells_muons_apart_and_scans_on_the_cluster_as_it_does_here(
    run: Run,
    cluster: str,
) -> None:
    ask = (
        "{'area': area, 'scan': list(areas),"
        " 'here': [area_of(*each, features, sample.prompt, events_of) for each in settings]}"
    )
    answer, printed = run("adaboost.ipynb", ask)
    assert 0.95 < answer["area"] < 1
    assert answer["scan"] == answer["here"]
    assert "scanned on the cluster" in printed


def test_a_notebook_says_what_to_click_when_there_is_no_cluster(refused: str) -> None:
    assert refused == (
        "SystemExit: No cluster yet: Dask tab in the left sidebar, New cluster, Create."
    )
