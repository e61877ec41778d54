"""What happens to a whole facility, with a Lab in it, when its processes are killed."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from testbed.facility import Facility, User, running_facility, start_facility, wait_for

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


def test_parts_come_back_and_the_lab_lives_when_they_are_killed(tmp_path: Path) -> None:
    with running_facility(tmp_path / "data") as facility:
        alice = facility.log_in("alice")
        alice.start_server()
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

        kill(facility, "gateway")
        gateway = f"{facility.base_url}/services/dask-gateway/api/health"
        wait_for(lambda: alice.browser.send(gateway).status == 200, "the gateway")

        kill(facility, "proxy")
        # the routes come back at once, not at the hub's next check in five minutes
        wait_for(lambda: alice.lab("api/status").status == 200, "the proxy's routes", 20)

        assert facility.stop(signal.SIGINT) == 0
        assert facility.processes == set()
        assert "Stopped; nothing is left running" in facility.text()


def test_nothing_is_left_or_lost_when_the_parent_is_killed(tmp_path: Path) -> None:
    with running_facility(tmp_path / "data") as facility:
        alice = facility.log_in("alice")
        alice.start_server()
        (facility.layout.users / "alice" / "result.txt").write_text("42")
        assert len(facility.processes) >= 8
        facility.process.kill()
        facility.process.wait()
        wait_for(lambda: facility.processes == set(), "the guard's sweep", 20)

    with running_facility(tmp_path / "data", port=facility.port) as again:
        assert "Simulating" not in again.text()
        # the cookie of the first time is still good: hub and IAM have kept their state
        alice.facility = again
        user = alice.api("GET", "user").json
        assert user["name"] == "alice"
        wait_for(lambda: not alice.server(), "the hub to notice that the Lab is gone")
        assert (again.layout.users / "alice" / "result.txt").read_text() == "42"
        alice.start_server()
        assert token_is_valid(alice)
        assert again.stop(signal.SIGTERM) == 0
        assert again.processes == set()


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


def test_two_facilities_run_side_by_side_when_data_and_port_differ(
    tmp_path: Path, facility: Facility
) -> None:
    refused = start_facility(facility.data)
    assert refused.process.wait(60) == 1
    wait_for(lambda: "[data-in-use]" in refused.text(), "the sentence")
    assert f"in use by pid {facility.process.pid}" in refused.text()

    with running_facility(tmp_path / "data") as other:
        assert other.instance != facility.instance
        assert other.log_in("bob").api("GET", "user").json["name"] == "bob"
        assert other.stop() == 0
    assert facility.log_in("bob").api("GET", "user").json["name"] == "bob"
