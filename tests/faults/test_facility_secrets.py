"""A user's tokens in a real facility: where they have to be, and that they are nowhere else."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from af_hub.embedded.ports import read_ports
from testbed.clusters import Clusters
from testbed.planted import claims, planted, signature, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.facility import Facility

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def clusters(facility: Facility) -> Iterator[Clusters]:
    """Give dora's clusters; her Lab is running. Nobody else of the suite logs in as dora."""
    dora = facility.log_in("dora")
    dora.start_server()
    yield Clusters(dora)
    assert dora.api("DELETE", "users/dora/server").status in {202, 204}


@pytest.fixture(scope="module")
def cluster(clusters: Clusters) -> Iterator[str]:
    """Give a cluster with one worker, in the middle of its life."""
    made = clusters.make()
    yield made
    assert clusters.ask("DELETE", f"/{made}")[0] == 204


def test_a_worker_reads_a_protected_file_when_only_its_environment_tells_how(
    clusters: Clusters, cluster: str
) -> None:
    facility = clusters.user.facility
    storage = f"https://127.0.0.1:{read_ports(facility.layout.state / 'ports.json')['storage']}"
    done = clusters.compute(cluster, f"{storage}/store/cms/zmumu/zmumu_0.root")
    assert done.get("read") == ["root"], done
    (seen,) = done["seen"]
    path = Path(seen["path"])
    # the worker's own, in the folder that Dask has made for it
    assert path.is_relative_to(clusters.folder(cluster))
    assert len(list(clusters.folder(cluster).rglob("bearer-token"))) == 2  # the scheduler has one
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    given = claims(seen["token"])
    assert given["aud"] == storage
    assert "wlcg.groups" not in given
    assert "storage.read:/store/cms" in given["scope"].split()
    assert not re.search(r"offline_access|openid|profile|storage\.(modify|create)", given["scope"])
    # the storage opens what the token names, and nothing else of the facility does
    assert clusters.compute(cluster, f"{storage}/store/atlas/x").get("error", "").count("403")
    # of the login itself, nothing came along
    login = planted(facility, clusters.user)
    for file in clusters.folder(cluster).rglob("*"):
        if file.is_file():
            assert [name for name, value in login.items() if value in text_of(file)] == [], file


def test_no_secret_is_seen_when_a_lab_and_a_cluster_are_running(
    facility: Facility, clusters: Clusters, cluster: str
) -> None:
    dora = clusters.user
    assert dora.lab("af/status").json["tokens"][0]["state"] == "valid"
    assert dora.lab("af/storage/demo/list?path=/cms").status == 200
    folder = clusters.folder(cluster)

    places = {"logs": facility.logs(), "output": facility.text()}
    for pid in facility.processes:
        for kind in ("environ", "cmdline"):
            places[f"{kind} of {pid}"] = text_of(Path(f"/proc/{pid}/{kind}"))
    for page in ("hub/home", "hub/spawn", "hub/token", "hub/api/user"):
        answer = dora.browser.follow(dora.browser.send(f"{facility.base_url}/{page}"))
        places[page] = answer.text
    files = [*(facility.layout.users / "dora").rglob("*"), *folder.rglob("*")]
    tokens = list(folder.rglob("bearer-token"))
    for path in files:
        if path.is_file() and path.parent != folder and path not in tokens:
            places[str(path)] = text_of(path)

    computing = clusters.processes(cluster)
    assert len(computing) >= 2
    assert {f"environ of {one.pid}" for one in computing} < set(places)
    assert "scheduler.log" in " ".join(places)
    searched = planted(facility, dora)
    searched["relayed token"] = signature(text_of(tokens[0]))
    searched["gateway's token of the cluster"] = text_of(folder / "gateway-token")
    for name, value in searched.items():
        seen = [place for place, text in places.items() if value in text]
        assert seen == [], f"{name} is in {seen}"
    for place, text in places.items():
        assert not re.search(r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.", text), f"a JWT is in {place}"


def test_files_are_closed_to_others_when_they_hold_secrets(
    facility: Facility, clusters: Clusters, cluster: str
) -> None:
    assert facility.data.stat().st_mode & 0o777 == 0o700
    layout = facility.layout
    sensitive = [*layout.secrets.iterdir(), layout.ca_key, layout.server_key]
    sensitive += [*layout.logs.iterdir(), *layout.hub.glob("*.py"), *layout.gateway.glob("*.py")]
    folder = clusters.folder(cluster)
    sensitive += [folder, *(folder / name for name in ("tls.key", "gateway-token"))]
    sensitive += folder.rglob("bearer-token")
    for path in sensitive:
        assert path.stat().st_mode & 0o077 == 0, path
