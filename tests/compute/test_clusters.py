"""Clusters of a real gateway, as the service of a real hub."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from testbed import dask_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed.gateway import Testbed


FIXED = {"mode": "fixed", "workers": 2}


@pytest.fixture
def make(bed: Testbed) -> Iterator[Callable[..., str]]:
    """Give a function that makes a cluster and returns its id; all are ended afterwards."""
    made: list[tuple[str, str]] = []

    def make(user: str = "alice", scale: Any = None, **options: Any) -> str:
        body = {"options": {"type": "local", **options}, "scale": scale}
        status, cluster = bed.call(user, "POST", "af/clusters", body)
        assert status == 201, cluster
        assert cluster["state"] == "pending"
        made.append((user, cluster["id"]))
        return str(cluster["id"])

    yield make
    for user, cluster in made:
        bed.call(user, "DELETE", f"af/clusters/{cluster}")
    for user, cluster in made:
        bed.wait(user, cluster, lambda one: one["state"] in {"stopped", "failed"})
        assert bed.cluster_processes(cluster) == []
        assert not bed.folder(cluster).exists()


def run_client(bed: Testbed, user: str, cluster: str, workers: int) -> dict[str, Any]:
    """Connect as a notebook of a user."""
    environment = {
        "JUPYTERHUB_API_TOKEN": bed.token(user),
        "DASK_GATEWAY__ADDRESS": bed.address,
        "DASK_GATEWAY__PROXY_ADDRESS": bed.wiring.gateway_proxy_url,
    }
    return dask_client.run_client(environment, bed.wiring.layout.root, cluster, workers)


def test_two_tls_workers_compute_when_a_cluster_is_made_scaled_and_shut_down(
    bed: Testbed, make: Callable[..., str]
) -> None:
    cluster = make(scale=FIXED)
    bed.wait("alice", cluster, lambda one: one["workers"] == 2)
    answer = run_client(bed, "alice", cluster, 2)
    assert answer.get("sum") == 6, answer
    assert all(each.startswith("tls://127.0.0.1:") for each in answer["addresses"])
    assert {each["token"].rsplit("-", 1)[0] for each in answer["seen"]} == {"planted-token-alice"}

    one = {"scale": {"mode": "fixed", "workers": 1}}
    status, _ = bed.call("alice", "PATCH", f"af/clusters/{cluster}", one)
    assert status == 200
    found = bed.wait("alice", cluster, lambda one: one["workers"] == 1 == one["wanted"])
    assert found["scale"] == one["scale"]
    assert (found["cores"], found["memory"]) == (1, 600 * 1024**2)

    adaptive = {"scale": {"mode": "adaptive", "minimum": 0, "maximum": 2}}
    bed.call("alice", "PATCH", f"af/clusters/{cluster}", adaptive)
    bed.wait("alice", cluster, lambda one: one["workers"] == 0 and one["scale"]["maximum"] == 2)
    assert bed.call("alice", "DELETE", f"af/clusters/{cluster}")[0] == 204


def test_nothing_is_found_when_it_is_another_users_cluster(
    bed: Testbed, make: Callable[..., str]
) -> None:
    cluster = make(scale={"mode": "fixed", "workers": 0})
    bed.wait("alice", cluster, lambda one: one["state"] == "running")
    assert bed.call("carol", "GET", "af/clusters") == (200, {"clusters": []})
    assert bed.call("carol", "GET", "clusters/") == (200, {})
    path = f"af/clusters/{cluster}"
    for method, where, body in (
        ("GET", path, None),
        ("PATCH", path, {"scale": FIXED}),
        ("DELETE", path, None),
        ("GET", f"{path}/logs", None),
        ("GET", f"{path}/dashboard/status", None),
    ):
        assert bed.call("carol", method, where, body)[0] == 404, (method, where)
    assert bed.call("carol", "GET", f"clusters/{cluster}")[0] == 403
    assert bed.call("carol", "POST", f"clusters/{cluster}/scale", {"count": 1})[0] == 403
    assert bed.call("carol", "DELETE", f"clusters/{cluster}")[0] == 403
    assert "error" in run_client(bed, "carol", cluster, 0)
    assert bed.call("alice", "GET", path)[1]["state"] == "running"
    assert bed.call("alice", "GET", f"{path}/dashboard/individual-workers")[0] == 200
    # nor by the proxy of Gateway, and not from the scheduler itself
    for url in _dashboard_doors(bed, cluster):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10)
        refused.value.close()
        assert refused.value.code in {401, 403, 404}, url


def _dashboard_doors(bed: Testbed, cluster: str) -> list[str]:
    """Return every address of this machine where a dashboard might answer."""
    scheduler = bed.cluster_processes(cluster)[0]
    ports = {each.laddr.port for each in scheduler.net_connections() if each.status == "LISTEN"}
    log = (bed.folder(cluster) / "logs" / "scheduler.log").read_text()
    shown = [line.split()[-1] for line in log.splitlines() if "dashboard at:" in line]
    assert len(shown) == 1
    assert int(shown[0].split(":")[-1].split("/")[0]) in ports
    proxy = f"http://127.0.0.1:{bed.wiring.ports.gateway_proxy_http}"
    return [
        f"{shown[0].rsplit('/status', 1)[0]}/status",
        f"{shown[0].rsplit('/status', 1)[0]}/metrics",
        f"{proxy}/clusters/{cluster}/status",
        f"{bed.address}/api/v1/af/clusters/{cluster}/dashboard/status",
    ]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"worker_cores": 10**9}, "worker_cores"),
        ({"worker_cores": "1; reboot"}, "worker_cores"),
        ({"worker_memory": "1T"}, "worker_memory"),
        ({"worker_memory": -1}, "worker_memory"),
        ({"type": "local\r\nX-Evil: 1"}, "type"),
        ({"image": "evil"}, "image"),
        ({"scheduler_cmd": ["sh"]}, "scheduler_cmd"),
        ({"environment": {"LD_PRELOAD": "x"}}, "environment"),
    ],
)
def test_the_field_is_named_when_options_are_absurd(
    bed: Testbed, options: dict[str, Any], field: str
) -> None:
    status, answer = bed.call("alice", "POST", "af/clusters", {"options": options})
    assert status == 422
    assert field in answer["message"]
    # Dask Gateway's own door has the same lock
    status, answer = bed.call("alice", "POST", "clusters/", {"cluster_options": options})
    assert status == 422
    assert field in answer["error"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"options": {}, "scale": {"mode": "fixed", "workers": 10**9}}, "scale.workers"),
        ({"options": {}, "scale": {"mode": "fixed", "workers": -1}}, "scale.workers"),
        ({"options": {}, "cluster": "x"}, "cluster"),
        ([], "object"),
    ],
)
def test_a_request_is_refused_when_it_asks_for_too_much(
    bed: Testbed, body: Any, field: str
) -> None:
    status, answer = bed.call("alice", "POST", "af/clusters", body)
    assert status in {400, 422}
    assert field in answer["message"]


def test_a_type_is_refused_when_the_groups_do_not_fit(
    bed: Testbed, make: Callable[..., str]
) -> None:
    def offered(user: str) -> list[str]:
        _, answer = bed.call(user, "GET", "options")
        types: list[str] = answer["cluster_options"][0]["spec"]["options"]
        return types

    assert "cms-only" in offered("alice")
    assert "cms-only" not in offered("carol")
    body = {"options": {"type": "cms-only"}}
    assert bed.call("carol", "POST", "af/clusters", body)[0] == 422
    assert bed.call("carol", "POST", "clusters/", {"cluster_options": body["options"]})[0] == 422
    make("alice", type="cms-only", scale={"mode": "fixed", "workers": 0})


def test_nobody_gets_in_when_the_hub_does_not_know_the_token(bed: Testbed) -> None:
    request = urllib.request.Request(
        f"{bed.address}/api/v1/af/clusters", headers={"Authorization": "jupyterhub nonsense"}
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10)
    refused.value.close()
    assert refused.value.code in {401, 500}


def test_the_cluster_computes_on_when_the_gateway_is_killed(
    bed: Testbed, make: Callable[..., str]
) -> None:
    cluster = make(scale={"mode": "fixed", "workers": 1})
    bed.wait("alice", cluster, lambda one: one["workers"] == 1)
    before = {each.pid for each in bed.cluster_processes(cluster)}
    bed.kill("gateway")
    assert {each.pid for each in bed.cluster_processes(cluster)} == before
    bed.restart("gateway")
    assert bed.wait("alice", cluster, lambda one: one["workers"] == 1)["state"] == "running"
    assert run_client(bed, "alice", cluster, 1).get("sum") == 6
    bed.call("alice", "PATCH", f"af/clusters/{cluster}", {"scale": FIXED})
    bed.wait("alice", cluster, lambda one: one["workers"] == 2)
    assert before <= {each.pid for each in bed.cluster_processes(cluster)}


def test_a_cluster_fails_with_a_reason_when_its_scheduler_is_killed(
    bed: Testbed, make: Callable[..., str]
) -> None:
    cluster = make(scale={"mode": "fixed", "workers": 1})
    bed.wait("alice", cluster, lambda one: one["workers"] == 1)
    next(one for one in bed.cluster_processes(cluster) if "scheduler" in one.cmdline()).kill()
    failed = bed.wait("alice", cluster, lambda one: one["state"] == "failed")
    assert "scheduler" in failed["reason"]
    assert bed.cluster_processes(cluster) == []
    listed = [one["id"] for one in bed.call("alice", "GET", "af/clusters")[1]["clusters"]]
    assert cluster in listed
    bed.call("alice", "DELETE", f"af/clusters/{cluster}")
    listed = [one["id"] for one in bed.call("alice", "GET", "af/clusters")[1]["clusters"]]
    assert cluster not in listed


def test_a_worker_comes_back_when_one_is_killed(bed: Testbed, make: Callable[..., str]) -> None:
    cluster = make(scale={"mode": "fixed", "workers": 1})
    bed.wait("alice", cluster, lambda one: one["workers"] == 1)
    workers = [one for one in bed.cluster_processes(cluster) if "worker" in one.cmdline()]
    for one in workers:
        one.kill()
    bed.wait("alice", cluster, lambda one: one["workers"] == 0)
    bed.wait("alice", cluster, lambda one: one["workers"] == 1)


def test_a_cluster_ends_when_its_longest_lifetime_is_reached(
    bed: Testbed, make: Callable[..., str]
) -> None:
    cluster = make(type="brief", scale={"mode": "fixed", "workers": 0})
    ended = bed.wait("alice", cluster, lambda one: one["state"] == "stopped")
    assert "lifetime" in ended["reason"]


def test_a_cluster_of_a_notebook_is_in_the_panel_when_it_is_made_and_scaled_there(
    bed: Testbed,
) -> None:
    status, answer = bed.call("alice", "POST", "clusters/", {"cluster_options": {}})
    assert status == 201
    cluster = answer["name"]
    bed.wait("alice", cluster, lambda one: one["state"] == "running")
    listed = bed.call("alice", "GET", "af/clusters")[1]["clusters"]
    assert [(one["id"], one["type"]) for one in listed] == [(cluster, "local")]
    status, _ = bed.call("alice", "POST", f"clusters/{cluster}/scale", {"count": 1})
    assert status == 200
    found = bed.wait("alice", cluster, lambda one: one["workers"] == 1)
    assert found["scale"] == {"mode": "fixed", "workers": 1}
    bed.call("alice", "DELETE", f"clusters/{cluster}")
    bed.wait("alice", cluster, lambda one: one["state"] == "stopped")
