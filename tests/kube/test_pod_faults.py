"""Pods, the hub, the API server and etcd die; the hub is right again soon after."""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from testbed.facility import wait_for
from testbed.kube.pods import probe_pod, wait_ready
from testbed.require import require

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.facility import User
    from testbed.kube_facility import PodFacility

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("no_labs_left")]

PROMISE = 10.0
"""Seconds after which the hub is right again."""

DEADLINE = 3 * PROMISE

SOAK = bool(os.environ.get("AF_SOAK"))

OUTAGE = 120.0 if SOAK else 35.0
"""Seconds without an API server; KubeSpawner gives up a request after 30, watching after 51."""


@pytest.fixture
def alice(pod_facility: PodFacility) -> User:
    """Give alice, logged in, with a Lab that runs and a file in it."""
    user = pod_facility.log_in("alice")
    user.start_server("small")
    pod_facility.in_lab("alice", "sh", "-c", "echo kept > ~/note")
    return user


def ask(facility: PodFacility, user: str, **options: object) -> None:
    """Ask for a server without waiting for the answer, which may come after the start."""
    body = ("POST", f"users/{user}/server", options)
    threading.Thread(target=facility.api, args=body, daemon=True).start()


def gone(facility: PodFacility, user: str) -> bool:
    """Tell whether neither the hub nor the cluster has a server of this user."""
    return facility.server(user) is None and facility.lab(user) is None


def check_files(facility: PodFacility, user: User) -> None:
    """Start a Lab anew and find the file of the last one."""
    user.start_server("small")
    assert facility.in_lab(user.name, "cat", "/home/jovyan/note") == "kept\n"


def test_hub_sees_it_when_a_pod_is_deleted(pod_facility: PodFacility, alice: User) -> None:
    pod_facility.kubectl("delete", "pod", "jupyter-alice", "--grace-period=1", "--wait=false")
    wait_for(lambda: gone(pod_facility, "alice"), "the end of the Lab", DEADLINE)


def test_hub_sees_it_when_a_pod_is_evicted(pod_facility: PodFacility, alice: User) -> None:
    """By the eviction API, as a drain does it."""
    place = f"/api/v1/namespaces/{pod_facility.namespace}/pods/jupyter-alice/eviction"
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": "jupyter-alice", "namespace": pod_facility.namespace},
        "deleteOptions": {"gracePeriodSeconds": 1},
    }
    pod_facility.kubectl("create", "--raw", place, "--filename=-", input=json.dumps(eviction))
    wait_for(lambda: gone(pod_facility, "alice"), "the end of the Lab", DEADLINE)
    check_files(pod_facility, alice)


def test_hub_removes_the_pod_when_the_kubelet_has_ended_it(
    pod_facility: PodFacility, alice: User
) -> None:
    """As after an eviction by a full node: the pod stays, failed, until somebody deletes it."""
    pod_facility.kubectl(
        "patch", "pod", "jupyter-alice", "--patch", '{"spec": {"activeDeadlineSeconds": 1}}'
    )
    wait_for(lambda: gone(pod_facility, "alice"), "the end of the Lab", DEADLINE)
    check_files(pod_facility, alice)


def test_start_fails_at_once_with_a_sentence_when_its_pod_is_deleted(
    pod_facility: PodFacility, cordoned: None
) -> None:
    """Not after all of `start_timeout`, which leaves time to pull an image."""
    pod_facility.log_in("carol")
    pod_facility.api("POST", "users/carol/server", {"profile": "small"})
    wait_for(lambda: pod_facility.lab("carol"), "the pod")
    pod_facility.kubectl("delete", "pod", "jupyter-carol", "--wait=false")
    said = pod_facility.progress("carol", "failed", DEADLINE)
    assert "The cluster ended the server while it started" in said
    wait_for(lambda: gone(pod_facility, "carol"), "the end of the start", DEADLINE)


@pytest.fixture
def cordoned(pod_facility: PodFacility) -> Iterator[None]:
    """Let the node take no new pods."""
    node = pod_facility.kube.node_name
    pod_facility.kube.kubectl("cordon", node)
    yield
    pod_facility.kube.kubectl("uncordon", node)


def test_start_waits_with_a_reason_while_the_node_is_cordoned(
    pod_facility: PodFacility, alice: User, cordoned: None
) -> None:
    bob = pod_facility.log_in("bob")
    pod_facility.api("POST", "users/bob/server", {"profile": "small"})
    assert "unschedulable" in pod_facility.progress("bob", "unschedulable", DEADLINE)
    # what runs stays
    assert alice.lab("api/status").status == 200
    pod_facility.kube.kubectl("uncordon", pod_facility.kube.node_name)
    wait_for(bob.server_answers, "the Lab of bob", DEADLINE)


@pytest.fixture
def no_gpu(pod_facility: PodFacility) -> Iterator[None]:
    """Let the node have no GPU, also afterwards."""
    pod_facility.kube.fake_gpus(0)
    yield
    pod_facility.kube.fake_gpus(0)


def test_start_goes_on_when_the_hub_is_killed_in_the_middle(
    pod_facility: PodFacility, no_gpu: None
) -> None:
    """The new hub finds the pod that the old one began to start, waiting for a GPU."""
    alice = pod_facility.log_in("alice")
    ask(pod_facility, "alice", profile="gpu", gpu=1)
    wait_for(lambda: pod_facility.lab("alice"), "the pod")
    pod_facility.kill_hub()
    pod_facility.wait_for_new_hub()
    pod_facility.kube.fake_gpus(1)
    begin = time.monotonic()
    wait_for(alice.server_answers, "the Lab of alice", DEADLINE)
    print(f"right after {time.monotonic() - begin:.1f} s")
    token = pod_facility.in_lab("alice", "sh", "-c", "cat $BEARER_TOKEN_FILE")
    assert token.count(".") == 2


def test_lab_is_kept_when_the_hub_is_killed(pod_facility: PodFacility, alice: User) -> None:
    before = pod_facility.lab("alice")
    pod_facility.kill_hub()
    # the proxy is a pod of its own
    assert alice.lab("api/status").status == 200
    pod_facility.wait_for_new_hub()
    wait_for(lambda: (pod_facility.server("alice") or {}).get("ready"), "the Lab", DEADLINE)
    after = pod_facility.lab("alice")
    assert before is not None
    assert after is not None
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert alice.server_answers()


@contextmanager
def api_server_away(facility: PodFacility) -> Iterator[None]:
    """Stop the API server; start it again, whatever happens meanwhile."""
    facility.kube.kill("apiserver")
    try:
        yield
    finally:
        facility.kube.start("apiserver")


def wake(facility: PodFacility) -> None:
    """Start anew what waits in the cluster itself.

    Scheduler, controllers and kubelet wait up to a minute between two tries, each wait twice as long
    as the one before (client-go), so a plain pod runs 45 to 61 s after an outage of 10 or 30 s. One
    that has just started asks at once; what takes time then is the hub's.
    """
    for part in ("scheduler", "controller-manager", "kubelet"):
        facility.kube.kill(part)
        facility.kube.start(part)


@pytest.fixture
def cluster_right_again(pod_facility: PodFacility) -> Iterator[None]:
    """Let the next test find a cluster that schedules at once."""
    yield
    pod_facility.kube.until(lambda: pod_facility.kube.get("nodes")["items"], "the API server")
    wake(pod_facility)


@pytest.mark.usefixtures("cluster_right_again")
@pytest.mark.timeout(600)
def test_hub_is_right_when_the_api_server_was_away(pod_facility: PodFacility, alice: User) -> None:
    """Labs work on; a start is refused with a sentence, or goes on; a stop is kept in mind.

    Afterwards a pod that is deleted is seen, the stop has happened, and starts work. In a soak the
    cluster comes back by itself, and a plain pod tells when a start can succeed at all.
    """
    facility = pod_facility
    _, carol, dora = (facility.log_in(name) for name in ("bob", "carol", "dora"))
    dora.start_server("small")
    answers: list[object] = []

    def at_once() -> None:
        time.sleep(2)
        answers.append(alice.lab("api/status").status)
        stopped = facility.api("DELETE", "users/dora/server", timeout=60)
        answers.append(stopped.status)
        facility.api("POST", "users/bob/server", {"profile": "small"}, timeout=60)
        with suppress(OSError):
            answers.append(facility.progress("bob", "failed", 45))

    def soon_before_the_end() -> None:
        time.sleep(OUTAGE - 5)
        ask(facility, "carol", profile="small")

    threads = [threading.Thread(target=each) for each in (at_once, soon_before_the_end)]
    for each in threads:
        each.start()
    with api_server_away(facility):
        time.sleep(OUTAGE)
    facility.kube.until(lambda: facility.kube.get("nodes")["items"], "the API server")
    clock = Clock()
    if SOAK:
        facility.kube.apply(probe_pod(facility.kube, facility.namespace, "plain"))
    else:
        wake(facility)
    facility.kubectl("delete", "pod", "jupyter-alice", "--grace-period=0", "--force")
    wait_for(lambda: gone(facility, "alice"), "the end of alice's Lab", DEADLINE)
    clock.tell("the hub has seen a deleted pod")

    def dora_is_stopped() -> bool:
        pod = facility.lab("dora")
        return pod is None or "deletionTimestamp" in pod["metadata"]

    wait_for(dora_is_stopped, "the deletion of dora's Lab", DEADLINE)
    clock.tell("a stop has reached the cluster")
    wait_for(lambda: facility.lab("carol"), "the pod of a start", DEADLINE)
    clock.tell("a start has reached the cluster")
    if SOAK:
        wait_ready(facility.kube, facility.namespace, "plain")
        clock.tell("a plain pod runs, so scheduler and kubelet are back")
        facility.kubectl("delete", "pod", "plain", "--wait=false")
    # how long a Lab takes to begin is not the hub's
    wait_for(carol.server_answers, "the Lab of carol")
    clock.tell("a new Lab answers")
    for each in threads:
        each.join(90)
    assert answers[:2] in ([200, 202], [200, 204])
    # a short outage may end before the start is given up
    refused = "The cluster does not answer" in str(answers)
    assert refused or "Server ready" in str(answers)
    assert gone(facility, "bob") == refused
    check_files(facility, alice)
    wait_for(lambda: gone(facility, "dora"), "the end of dora's Lab")


class Clock:
    """Tells how long ago it was made."""

    def __init__(self) -> None:
        self._begin = time.monotonic()

    def tell(self, what: str) -> None:
        """Print a line of the test's output."""
        print(f"{time.monotonic() - self._begin:5.1f} s: {what}")


def hub_process(facility: PodFacility) -> psutil.Process | None:
    """Find the hub among this machine's processes, by its pod's control group."""
    (pod,) = (one for one in facility.pods("app=hub") if "deletionTimestamp" not in one["metadata"])
    mark = f"pod{pod['metadata']['uid']}"
    for process in psutil.process_iter(["cmdline"]):
        # the first process of the container has the hub's command line as arguments
        words = process.info["cmdline"] or ["tini"]
        with suppress(OSError):
            groups = Path("/proc", str(process.pid), "cgroup").read_text()
            if mark in groups and "tini" not in words[0] and "--config" in words:
                return process
    return None


@pytest.mark.usefixtures("cluster_right_again")
@pytest.mark.timeout(600)
def test_hub_that_starts_without_an_api_server_is_right_afterwards(
    pod_facility: PodFacility, alice: User
) -> None:
    """The kubelet starts it again by itself. Until it knows better it takes every Lab for running."""
    facility = pod_facility
    require("kube-node", facility.kube.node, "this test works on the node itself")
    before = facility.lab("alice")
    old = hub_process(facility)
    assert before
    assert old
    with api_server_away(facility):
        old.kill()
        facility.wait_for_hub()
        # the proxy knows the way; the hub says who may go it
        wait_for(lambda: alice.lab("api/status").status == 200, "the Lab, without an API server")
        assert (facility.server("alice") or {}).get("pending") == "check"
    clock = Clock()
    wait_for(lambda: (facility.server("alice") or {}).get("ready"), "the Lab", DEADLINE)
    clock.tell("the hub knows the Lab")
    facility.kube.until(lambda: facility.kube.get("nodes")["items"], "the API server")
    after = facility.lab("alice")
    assert after
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert alice.server_answers()
    facility.kubectl("delete", "pod", "jupyter-alice", "--grace-period=0", "--force")
    wait_for(lambda: gone(facility, "alice"), "the end of the Lab", DEADLINE)


@pytest.mark.timeout(600)
def test_hub_is_right_when_etcd_was_restarted(pod_facility: PodFacility, alice: User) -> None:
    pod_facility.kube.kill("etcd")
    pod_facility.kube.start("etcd")
    pod_facility.kube.until(lambda: pod_facility.kube.get("nodes")["items"], "the API server")
    assert alice.server_answers()
    pod_facility.kubectl("delete", "pod", "jupyter-alice", "--grace-period=0", "--force")
    wait_for(lambda: gone(pod_facility, "alice"), "the end of the Lab", DEADLINE)
    check_files(pod_facility, alice)
