"""What happens to a whole facility, with a Lab in it, when its processes are killed."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from testbed.clusters import Clusters
from testbed.facility import Facility, User, living, running_facility, start_facility, wait_for

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.faults


def token_is_valid(user: User) -> bool:
    """Tell whether the Lab has a valid token and the storage takes it."""
    status = user.lab("af/status")
    if status.status != 200 or status.json["tokens"][0]["state"] != "valid":
        return False
    listing = user.lab("af/storage/demo/list?path=/cms/zmumu")
    return listing.status == 200 and "zmumu_0.root" in listing.text


def kill(facility: Facility, part: str) -> int:
    """Kill a part and return the id of the process that replaces it."""
    before = facility.pid(part)
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: before not in facility.processes, f"the end of {part}")
    after = facility.pid(part)
    assert after != before
    return after


def test_parts_come_back_and_labs_and_clusters_live_when_they_are_killed(tmp_path: Path) -> None:
    with running_facility(tmp_path / "data") as facility:
        alice = facility.log_in("alice")
        alice.start_server()
        clusters = Clusters(alice)
        cluster = clusters.make()
        computing = {process.pid for process in clusters.processes(cluster)}
        assert token_is_valid(alice)
        server = alice.server()
        assert server is not None
        started = server["started"]

        kill(facility, "guard")
        kill(facility, "hub")
        # the Lab answers while there is no hub, and is still the same afterwards
        assert alice.lab("api/status").status == 200
        wait_for(lambda: alice.api("GET", "user").status == 200, "the hub")
        server = alice.server()
        assert server is not None
        assert server["started"] == started
        assert token_is_valid(alice)
        assert alice.api("GET", "user").json["name"] == "alice"

        kill(facility, "storage")
        wait_for(lambda: token_is_valid(alice), "the storage")

        # with the network go the servers in it; all are there again in a new one
        inside = {facility.pid("xrootd-origin"), facility.pid("xcache")}
        kill(facility, "network")
        wait_for(lambda: "XCache is up again" in facility.text(), "the cache")
        assert not living(inside)

        kill(facility, "gateway")
        found = clusters.wait(cluster, lambda one: one["workers"] == 1)
        assert found["state"] == "running"
        assert {process.pid for process in clusters.processes(cluster)} == computing
        assert clusters.compute(cluster).get("sum") == 6

        kill(facility, "proxy")
        # the routes come back at once, not at the hub's next check in five minutes
        wait_for(lambda: alice.lab("api/status").status == 200, "the proxy's routes", 20)
        assert clusters.ask_lab("GET")[1]["clusters"][0]["state"] == "running"

        assert computing <= facility.processes
        assert facility.stop(signal.SIGINT) == 0
        assert facility.processes == set()
        assert living(computing) == set()
        assert "Stopped; nothing is left running" in facility.text()


def test_nothing_is_left_or_lost_when_the_parent_is_killed(tmp_path: Path) -> None:
    with running_facility(tmp_path / "data") as facility:
        alice = facility.log_in("alice")
        alice.start_server()
        clusters = Clusters(alice)
        lost = clusters.make()
        (facility.layout.users / "alice" / "result.txt").write_text("42")
        processes = facility.processes
        assert {process.pid for process in clusters.processes(lost)} < processes
        facility.process.kill()
        facility.process.wait()
        wait_for(lambda: facility.processes == set(), "the guard's sweep", 20)
        assert living(processes) == set()

    with running_facility(tmp_path / "data", port=facility.port) as again:
        assert "Simulating" not in again.text()
        # the cookie of the first time is still good: hub and IAM have kept their state
        alice.facility = again
        user = alice.api("GET", "user").json
        assert user["name"] == "alice"
        # the gateway has kept the cluster, and says what has become of it
        found = clusters.wait(lost, lambda one: one["state"] != "running")
        assert found["state"] in {"failed", "stopping"}
        assert found["reason"] == "The scheduler ended unexpectedly."
        wait_for(lambda: not clusters.folder(lost).exists(), "the cluster to be cleared away")
        wait_for(lambda: not alice.server(), "the hub to notice that the Lab is gone")
        assert (again.layout.users / "alice" / "result.txt").read_text() == "42"
        alice.start_server()
        assert token_is_valid(alice)
        cluster = clusters.make()
        states = {one["id"]: one["state"] for one in clusters.ask_lab("GET")[1]["clusters"]}
        assert states == {lost: "failed", cluster: "running"}
        computing = {process.pid for process in clusters.processes(cluster)}
        assert len(computing) >= 2
        assert again.stop(signal.SIGTERM) == 0
        assert again.processes == set()
        assert living(computing) == set()


def test_leftovers_are_ended_when_guard_and_parent_were_killed(tmp_path: Path) -> None:
    with running_facility(tmp_path / "data") as facility:
        # the parent first stopped, so that it cannot start another guard
        facility.process.send_signal(signal.SIGSTOP)
        os.kill(facility.pid("guard"), signal.SIGKILL)
        facility.process.kill()
        facility.process.wait()
        orphan = facility.pid("hub")

        again = start_facility(tmp_path / "data", port=facility.port)
        wait_for(lambda: "that an earlier run had left behind" in again.text(), "the sweep")
        assert orphan not in again.processes
        # interrupted in the middle of its start; before it has a child, as a command is
        assert again.stop() in {0, 130}
        assert again.processes == set()


def test_facility_ends_whenever_it_is_interrupted_in_its_start(tmp_path: Path) -> None:
    with running_facility(tmp_path / "data") as facility:
        port = facility.port
        assert facility.stop() == 0
    for moment in (0.4, 0.8, 1.2, 1.6, 2.0):  # while it reads, prepares and starts its parts
        again = start_facility(tmp_path / "data", port=port)
        time.sleep(moment)
        assert again.stop() in {0, 130, -signal.SIGINT}, again.text()
        assert again.processes == set()


def test_data_folder_is_refused_when_a_facility_uses_it(facility: Facility) -> None:
    refused = start_facility(facility.data)
    assert refused.process.wait(60) == 1
    wait_for(lambda: "[data-in-use]" in refused.text(), "the sentence")
    assert f"in use by pid {facility.process.pid}" in refused.text()
    assert facility.log_in("bob").api("GET", "user").json["name"] == "bob"
