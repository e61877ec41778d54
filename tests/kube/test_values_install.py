"""The Zero-to-JupyterHub chart with our values, installed with our images: a login and a Lab.

By hand, as the chart is on no package registry: ``Z2JH_CHART=…/zero-to-jupyterhub-k8s/jupyterhub``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testbed.chart_facility import chart_facility_in
from testbed.kube_facility import facility_images
from testbed.pod_security import violations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed.chart_facility import ChartFacility
    from testbed.facility import User
    from testbed.kube.cluster import Cluster
    from tools.images.records import Record

TRY = """
import json, socket, sys
found = {}
for place in sys.argv[1:]:
    host, _, port = place.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
        found[place] = True
    except OSError:
        found[place] = False
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def chart() -> Path:
    """Return the folder of the chart."""
    place = os.environ.get("Z2JH_CHART", "")
    if not place:
        pytest.skip("Z2JH_CHART names no folder with the Zero-to-JupyterHub chart: by hand only")
    return Path(place)


@pytest.fixture(scope="module")
def installed(
    chart: Path,
    kube: Cluster,
    kube_image: Callable[[str], Record],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ChartFacility]:
    """Give the facility that Helm has installed."""
    images = facility_images(kube, kube_image)
    with chart_facility_in(kube, images, chart, tmp_path_factory.mktemp("helm")) as facility:
        yield facility


@pytest.fixture(scope="module")
def bob(installed: ChartFacility) -> Iterator[User]:
    """Give bob, logged in, with a Lab that runs."""
    user = installed.log_in("bob")
    user.start_server("small")
    yield user
    installed.stop("bob")


def test_protected_data_is_listed_when_the_chart_runs_the_hub(bob: User) -> None:
    listing = bob.lab("af/storage/demo/list?path=/cms/zmumu")
    assert listing.status == 200, listing.text
    assert "zmumu_0.root" in listing.text


def test_pods_are_restricted_when_they_run(installed: ChartFacility, bob: User) -> None:
    pods = installed.pods("app=jupyterhub")
    names = {pod["metadata"]["labels"]["component"] for pod in pods}
    assert names == {"hub", "proxy", "singleuser-server"}
    assert [faults for pod in pods if (faults := violations(pod["spec"]))] == []


def test_lab_reaches_what_the_facility_file_names_when_policies_are_enforced(
    installed: ChartFacility, bob: User
) -> None:
    api = "kubernetes.default.svc:443"
    opened = ["hub:8081", "proxy-public:80", f"{installed.host('iam')}:8443"]
    opened.append(f"{installed.host('storage')}:8443")
    closed = ["proxy-api:8001", f"{installed.host('iam')}:8090", api]
    said = installed.in_lab("bob", "python", "-c", TRY, *opened, *closed)
    assert json.loads(said) == {**dict.fromkeys(opened, True), **dict.fromkeys(closed, False)}


def test_lab_is_found_again_when_the_hub_starts_anew(installed: ChartFacility, bob: User) -> None:
    pod = installed.lab("bob")
    assert pod is not None
    installed.kubectl("rollout", "restart", "deployment/hub")
    installed.kubectl("rollout", "status", "deployment/hub", "--timeout=180s", timeout=190)
    installed.wait_for_hub()
    assert bob.lab("api/status").status == 200
    again = installed.lab("bob")
    assert again is not None
    assert again["metadata"]["uid"] == pod["metadata"]["uid"]
