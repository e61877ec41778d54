"""Types, quotas, ends, events, logs and metrics of a real gateway, as the service of a real hub."""

from __future__ import annotations

import os
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from testbed.gateway import METRICS_TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed.gateway import Testbed

NONE = {"mode": "fixed", "workers": 0}
ONE = {"mode": "fixed", "workers": 1}
TWO = {"mode": "fixed", "workers": 2}


@pytest.fixture
def make(bed: Testbed) -> Iterator[Callable[..., str]]:
    """Give a function that makes a cluster and returns its id; all are ended afterwards."""
    made: list[tuple[str, str]] = []

    def make(user: str = "alice", scale: Any = None, **options: Any) -> str:
        body = {"options": {"type": "local", **options}, "scale": scale}
        status, cluster = bed.call(user, "POST", "af/clusters", body)
        assert status == 201, cluster
        made.append((user, cluster["id"]))
        return str(cluster["id"])

    yield make
    for user, cluster in made:
        bed.call(user, "DELETE", f"af/clusters/{cluster}")
    for user, cluster in made:
        bed.wait(user, cluster, lambda one: one["state"] in {"stopped", "failed"})


def test_the_other_types_can_be_had_when_one_backend_is_down(
    bed: Testbed, make: Callable[..., str]
) -> None:
    status, answer = bed.call("alice", "GET", "af/types")
    assert status == 200
    types = {one["name"]: one for one in answer["types"]}
    assert list(types) == ["local", "cms-only", "brief", "lazy", "gpu", "away"]
    assert types["local"]["available"]
    assert types["local"]["site"] == "machine room"
    assert (types["away"]["available"], types["away"]["reason"]) == (
        False,
        "The software Lost is not installed on the server.",
    )
    assert types["lazy"]["options"]["properties"]["image"]["enum"] == ["own", "lost"]
    assert "/nowhere" not in str(answer)
    for options in ({"type": "away"}, {"type": "lazy", "image": "lost"}):
        status, answer = bed.call("alice", "POST", "af/clusters", {"options": options})
        assert (status, answer["code"]) == (503, "backend-unavailable")
    status, answer = bed.call("alice", "POST", "af/clusters", {"options": {"type": "mine"}})
    assert (status, answer["code"]) == (422, "unknown-type")
    assert "type" in answer["message"]
    cluster = make(type="lazy", scale=NONE)
    found = bed.wait("alice", cluster, lambda one: one["state"] == "running")
    assert (found["image"], found["group"]) == ("own", None)


def test_a_group_gets_no_more_than_its_quota_when_its_members_ask_for_more(
    bed: Testbed, make: Callable[..., str]
) -> None:
    def used(user: str) -> dict[tuple[str, str], int]:
        rows = bed.call(user, "GET", "af/types")[1]["quotas"]
        return {(row["name"], row["resource"]): row["used"] for row in rows}

    assert ("/atlas", "workers") not in used("alice")
    first = make("carol", scale=ONE)
    bed.wait("carol", first, lambda one: one["workers"] == 1)
    assert used("carol")["/atlas", "workers"] == 1
    assert used("carol")["carol", "clusters"] == 1
    body = {"options": {"type": "local"}, "scale": TWO}
    status, answer = bed.call("carol", "POST", "af/clusters", body)
    assert (status, answer["code"]) == (409, "quota")
    said = "/atlas: 1 of 2 workers in use; you can start 1 worker."
    assert answer["message"] == said
    status, answer = bed.call(
        "carol", "PATCH", f"af/clusters/{first}", {"scale": {"mode": "fixed", "workers": 4}}
    )
    assert (status, answer["code"], answer["message"]) == (409, "quota", said)
    # notebooks hear it, too
    status, answer = bed.call("carol", "POST", f"clusters/{first}/scale", {"count": 4})
    assert (status, answer["error"]) == (409, said)

    # adaptive may ask for more than there is: what is started counts
    second = make("carol", scale={"mode": "adaptive", "minimum": 1, "maximum": 4})
    bed.wait("carol", second, lambda one: one["workers"] == 1)
    assert used("carol")["/atlas", "workers"] == 2
    with bed.computing("carol", second, tasks=200, seconds=0.5):
        held = bed.wait("carol", second, lambda one: one["held"] is not None)
        assert (held["workers"], held["group"]) == (1, "/atlas")
        assert held["wanted"] > 1
        assert held["held"] == "/atlas: 2 of 2 workers in use; you can start none now."
        # room appears, and it goes on by itself
        assert bed.call("carol", "DELETE", f"af/clusters/{first}")[0] == 204
        bed.wait("carol", second, lambda one: one["workers"] == 2)
    assert used("carol")["/atlas", "workers"] == 2


def test_a_gpu_is_for_one_worker_at_a_time(bed: Testbed, make: Callable[..., str]) -> None:
    def devices(cluster: str) -> list[str]:
        """Return what each worker of a cluster sees."""
        return [
            one.environ()["CUDA_VISIBLE_DEVICES"]
            for one in bed.cluster_processes(cluster)
            if "worker" in one.cmdline()
        ]

    first, without = make(type="gpu", scale=ONE), make(type="gpu", worker_gpus=0, scale=ONE)
    found = bed.wait("alice", first, lambda one: one["workers"] == 1)
    assert found["gpus"] == 1
    assert devices(first) == ["GPU-0f0f"]
    assert any("GPU=1" in one.cmdline() for one in bed.cluster_processes(first))
    second = make(type="gpu", scale=ONE)
    held = bed.wait("alice", second, lambda one: one["held"] is not None)
    assert held["held"] == "All GPUs of this machine are in use; workers start when one is free."
    bed.wait("alice", without, lambda one: one["workers"] == 1)
    assert devices(without) == [""]
    bed.call("alice", "DELETE", f"af/clusters/{first}")
    bed.wait("alice", second, lambda one: one["workers"] == 1)
    assert devices(second) == ["GPU-0f0f"]


def test_a_cluster_is_not_made_when_the_user_has_as_many_as_allowed(
    bed: Testbed, make: Callable[..., str]
) -> None:
    for _ in range(8):
        make("dora", scale=NONE)
    status, answer = bed.call("dora", "POST", "af/clusters", {"options": {}, "scale": NONE})
    assert (status, answer["code"]) == (409, "quota")
    assert answer["message"] == "Your quota: 8 of 8 clusters in use; shut one down first."
    status, answer = bed.call("dora", "POST", "clusters/", {"cluster_options": {}})
    assert status == 422
    assert "8 of 8 clusters" in answer["error"]


def test_an_idle_cluster_is_announced_and_ended_when_its_limit_is_reached(
    bed: Testbed, make: Callable[..., str]
) -> None:
    cluster = make(type="lazy", scale=ONE)
    assert bed.call("alice", "GET", f"af/clusters/{cluster}")[1]["ends_why"] == "lifetime"
    # the limit counts from when the worker was there, not from when the cluster was made
    found = bed.wait(
        "alice", cluster, lambda one: one["ends_why"] == "idle" and one["workers"] == 1
    )
    assert found["ends_at"] - time.time() < 6
    found = bed.wait("alice", cluster, lambda one: one["warning"] is not None)
    assert "idle" in found["warning"]
    ended = bed.wait("alice", cluster, lambda one: one["state"] == "stopped")
    assert ended["reason"] == "The cluster had no work for 5 s."
    assert ended["warning"] is None


def test_changes_are_pushed_to_their_owner_alone(bed: Testbed, make: Callable[..., str]) -> None:
    with bed.listening("alice") as mine, bed.listening("carol") as hers:
        assert mine.until(lambda _: True)["clusters"] == []
        hers.until(lambda _: True)
        cluster = make(scale=ONE)
        # pending is over before it is told
        begun = mine.until(lambda data: _states(data, cluster) in (["pending"], ["starting"]))
        assert begun["quotas"] == [
            {
                "scope": "user",
                "name": "alice",
                "resource": "clusters",
                "used": 1,
                "limit": 8,
                "unit": "",
            }
        ]
        mine.until(lambda data: _states(data, cluster) == ["running"])
        mine.until(lambda data: data["clusters"][0]["workers"] == 1)
        # the other one hears of her own cluster, and of no other that is there
        other = make("carol", scale=NONE)
        data = hers.until(lambda data: bool(data["clusters"]))
        assert [one["id"] for one in data["clusters"]] == [other]
        bed.call("alice", "DELETE", f"af/clusters/{cluster}")
        seen = mine.until(lambda data: _states(data, cluster) == [])
        assert _states(seen, other) == []


def _states(data: Any, cluster: str) -> list[str]:
    return [one["state"] for one in data["clusters"] if one["id"] == cluster]


def test_a_stream_ends_when_the_hub_does_not_know_the_token(bed: Testbed) -> None:
    for token in ("nonsense", ""):
        request = urllib.request.Request(
            f"{bed.address}/api/v1/af/events", headers={"Authorization": f"jupyterhub {token}"}
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10)
        refused.value.close()
        assert refused.value.code in {401, 500}


def test_logs_are_shown_to_their_owner_without_a_secret(
    bed: Testbed, make: Callable[..., str]
) -> None:
    cluster = make(scale=ONE)
    bed.wait("alice", cluster, lambda one: one["workers"] == 1)
    folder = bed.folder(cluster)
    token = (folder / "gateway-token").read_text()
    bearer = next(iter(folder.glob("scratch/*/*/bearer-token"))).read_text()
    with (folder / "logs/scheduler.log").open("a") as log:
        log.write(f"said {token} and {bearer}\n")
    (folder / "logs/evil.log").symlink_to(folder / "tls.key")
    os.mkfifo(folder / "logs/pipe.log")
    path = f"af/clusters/{cluster}/logs"
    status, answer = bed.call("alice", "GET", f"{path}?lines=2000")
    assert status == 200
    logs = {one["name"]: one for one in answer["logs"]}
    assert answer["logs"][0]["name"] == "scheduler"
    assert "Scheduler at:" in logs["scheduler"]["text"]
    assert "said [removed] and [removed]" in logs["scheduler"]["text"]
    assert any(name.startswith("worker ") and one["text"] for name, one in logs.items())
    for secret in (token, bearer, "PRIVATE KEY"):
        assert secret not in str(answer)
    short = bed.call("alice", "GET", f"{path}?lines=1")[1]["logs"][0]
    assert (short["text"].count("\n"), short["truncated"]) == (0, True)
    for lines in ("0", "2001", "-1", "1;ls", "x", "", "1%0a2"):
        status, answer = bed.call("alice", "GET", f"{path}?lines={lines}")
        assert status == 422, lines
        assert "lines" in answer["message"]
    assert bed.call("carol", "GET", path)[0] == 404
    # of one that failed they can still be read
    next(one for one in bed.cluster_processes(cluster) if "scheduler" in one.cmdline()).kill()
    bed.wait("alice", cluster, lambda one: one["state"] == "failed")
    assert "Scheduler at:" in bed.call("alice", "GET", path)[1]["logs"][0]["text"]
    assert bed.call("carol", "GET", path)[0] == 404


def _metrics(bed: Testbed, token: str) -> tuple[int, str]:
    request = urllib.request.Request(
        f"{bed.address}/api/v1/af/metrics", headers={"Authorization": f"Bearer {token}"}
    )
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            request, timeout=10
        ) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""


def test_metrics_are_for_those_who_may_read_the_hubs(
    bed: Testbed, make: Callable[..., str]
) -> None:
    cluster = make("carol", scale=ONE)
    bed.wait("carol", cluster, lambda one: one["workers"] == 1)
    for token in (bed.token("carol"), "nonsense", ""):
        assert _metrics(bed, token)[0] in {401, 403}, token
    status, text = _metrics(bed, METRICS_TOKEN)
    assert status == 200
    assert "carol" not in text
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["af_dask_clusters", "/atlas", "local", "running"] == 1
    assert samples["af_dask_workers", "/atlas", "local", "running"] == 1
    assert samples["af_dask_quota_used", "/atlas", "workers"] == 1
    assert samples["af_dask_quota_limit", "/atlas", "cores"] == 3
    assert samples["af_dask_clusters_created_total", "local"] >= 1


def test_what_happened_is_written_down(bed: Testbed, make: Callable[..., str]) -> None:
    cluster = make("carol", scale=NONE)
    bed.wait("carol", cluster, lambda one: one["state"] == "running")
    bed.call("carol", "POST", "af/clusters", {"options": {}, "scale": {"mode": "x\n\"'"}})
    bed.call("carol", "DELETE", f"af/clusters/{cluster}")
    bed.wait("carol", cluster, lambda one: one["state"] == "stopped")
    lines = [
        line.partition("audit: ")[2]
        for line in bed.wiring.layout.log("gateway").read_text().splitlines()
        if "audit: " in line
    ]
    about = [line for line in lines if cluster in line]
    assert about[0].startswith("cluster-created ")
    assert about[-1].startswith("cluster-ended ")
    assert '"why": "owner"' in about[-1]
    assert '"group": "/atlas"' in about[-1]
    refused = [line for line in lines if line.startswith("cluster-refused") and "carol" in line]
    assert '"reason": "bad-option"' in refused[-1]


NONSENSE = (
    "$(reboot)",
    "a\r\nX-Evil: 1",
    "../../etc",
    "'; DROP TABLE clusters;--",
    "\x00",
    "9" * 99,
)


@pytest.mark.parametrize("text", NONSENSE)
def test_the_field_is_named_when_a_text_is_hostile(bed: Testbed, text: str) -> None:
    wanted: tuple[tuple[str, Any], ...] = (
        ("type", {"options": {"type": text}}),
        ("image", {"options": {"type": "lazy", "image": text}}),
        ("worker_memory", {"options": {"worker_memory": text}}),
        ("worker_cores", {"options": {"worker_cores": text}}),
        ("worker_gpus", {"options": {"worker_gpus": text}}),
        ("scale.mode", {"options": {}, "scale": {"mode": text}}),
        ("scale.workers", {"options": {}, "scale": {"mode": "fixed", "workers": text}}),
        ("scale.minimum", {"options": {}, "scale": _adaptive(minimum=text)}),
        ("scale.maximum", {"options": {}, "scale": _adaptive(maximum=text)}),
        ("scale has no field", {"options": {}, "scale": {text: 1}}),
        ("options has no field", {"options": {text: 1}}),
        ("request has no field", {text: 1}),
    )
    for field, body in wanted:
        status, answer = bed.call("alice", "POST", "af/clusters", body)
        assert status == 422, body
        assert field in answer["message"], body
        assert "\n" not in answer["message"]
    assert bed.call("alice", "GET", "af/clusters") == (200, {"clusters": []})


def _adaptive(**changes: Any) -> dict[str, Any]:
    return {"mode": "adaptive", "minimum": 0, "maximum": 1, **changes}


def test_gateways_own_routes_name_the_field_when_it_is_nonsense(
    bed: Testbed, make: Callable[..., str]
) -> None:
    cluster = make(scale=NONE)
    for path, body, field in (
        (f"clusters/{cluster}/scale", {"count": "1; reboot"}, "count"),
        (f"clusters/{cluster}/scale", {"count": 10**9}, "count"),
        (f"clusters/{cluster}/adapt", {"minimum": "x"}, "minimum"),
        (f"clusters/{cluster}/adapt", {"maximum": [1]}, "maximum"),
        ("clusters/", {"cluster_options": "x"}, "cluster_options"),
    ):
        status, answer = bed.call("alice", "POST", path, body)
        assert status == 422, path
        assert field in answer["error"]
