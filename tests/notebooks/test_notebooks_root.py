"""Distributed RDataFrame on the clicked cluster: ``make test-root``.

ROOT's environment is 870 MB and a pre-release, so the other tests do without it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from nbclient.exceptions import CellExecutionError

from testbed.clusters import Clusters
from testbed.facility import running_facility
from testbed.lab_terminal import Terminal
from testbed.notebooks import ROOT, analysis_source, run_notebook
from testbed.require import require

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.facility import Facility, User

ENVIRONMENT = ROOT / os.environ.get("VENV_ROOT", ".venv-root")
KERNEL = "analysis-facility-root"
NOTEBOOK = "zmumu_rdataframe.ipynb"
FILES = 4
EVENTS = 400_000
"""Events in those files."""


def offer_root(facility_file: Path) -> None:
    """Let clusters have ROOT, as an administrator does."""
    document = yaml.safe_load(facility_file.read_text())
    kind = next(one for one in document["compute"]["types"] if one["name"] == "local")
    kind["images"] = {
        "default": "python",
        "choices": [
            {"name": "python", "title": "Python"},
            {"name": "root", "title": "ROOT", "environment": str(ENVIRONMENT)},
        ],
    }
    facility_file.write_text(yaml.safe_dump(document, sort_keys=False))


@pytest.fixture(scope="module")
def facility(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facility]:
    """Give a facility whose clusters may have ROOT."""
    require("root", (ENVIRONMENT / ".installed").exists(), "ROOT is not installed: make root-env")
    data = tmp_path_factory.mktemp("root") / "data"
    with running_facility(data) as first:
        offer_root(first.layout.facility_file)
        first.stop()
    with running_facility(data) as running:
        yield running


@pytest.fixture(scope="module")
def alice(facility: Facility) -> User:
    """Give Alice of /cms with a running Lab."""
    user = facility.log_in("alice")
    user.start_server()
    return user


def run(alice: User, ask: str) -> tuple[Any, str]:
    """Run the notebook from Alice's folder in the kernel that her Lab offers."""
    environment = Terminal(alice).environment
    doors = environment["AF_DOORS"]
    require("xrootd", "root://" in doors, "ROOT reads by XRootD, and this facility has none")
    path = Path(environment["HOME"]) / "examples" / NOTEBOOK
    return run_notebook(path, environment, ask, kernel=KERNEL, patience=240)


@pytest.mark.timeout(900)  # two facilities, two clusters, and ROOT compiles in three processes
def test_histogram_of_rdataframe_is_the_plain_one_bin_by_bin_when_the_clicked_cluster_made_it(
    facility: Facility, alice: User
) -> None:
    space: dict[str, Any] = {}
    exec(analysis_source("zmumu.ipynb"), space)  # noqa: S102 - our own notebook
    folder = facility.layout.store / "cms" / "zmumu"
    results = [space["dimuon_mass"](folder / f"zmumu_{number}.root") for number in range(FILES)]
    plain = sum(counts for _, counts in results).tolist()

    assert KERNEL in alice.lab("api/kernelspecs").json["kernelspecs"]
    clusters = Clusters(alice)
    # one without ROOT, which the notebook must pass by
    clusters.make(image="python")
    with pytest.raises(CellExecutionError) as caught:
        run(alice, "None")
    assert caught.value.ename == "SystemExit"
    assert "New cluster, image ROOT" in caught.value.evalue
    made = clusters.make(workers=2, memory="2G", image="root")
    ask = "{'histogram': histogram.tolist(), 'on': client.cluster.name, 'read': int(read)}"
    answer, printed = run(alice, ask)
    assert answer == {"histogram": plain, "on": made, "read": EVENTS}
    assert "The highest bin is at 91.25 GeV" in printed
