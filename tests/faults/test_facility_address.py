"""A facility that others may open, beside one that they may not."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from af_hub.embedded.ports import own_addresses
from testbed.clusters import Clusters
from testbed.facility import Facility, running_facility
from testbed.person import Person

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.iam import Answer

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def host() -> str:
    """Give an address that browsers on other machines would open."""
    return next(iter(own_addresses()), "127.0.0.2")


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory, host: str) -> Iterator[Facility]:
    """Give a facility at that address."""
    data = tmp_path_factory.mktemp("public") / "data"
    with running_facility(data, host=host) as running:
        yield running


def test_login_lab_and_clusters_work_when_the_address_is_not_loopback(
    public: Facility, host: str
) -> None:
    alice = public.log_in("alice")
    visited: list[str] = []
    original = alice.browser.send

    def send(url: str, *arguments: object, **named: object) -> Answer:
        visited.append(url)
        return original(url, *arguments, **named)  # type: ignore[arg-type]

    alice.browser.send = send  # type: ignore[method-assign]
    alice.browser.jar.clear()
    alice.log_in()
    alice.start_server()
    # a browser on another machine has no way to this machine's loopback addresses
    assert any("/authorize" in url for url in visited)
    assert [url for url in visited if not url.startswith(f"http://{host}:")] == []

    status = alice.lab("af/status").json
    assert status["hub"]["home_url"].startswith(f"{public.base_url}/hub/")
    assert status["tokens"][0]["state"] == "valid"
    status_code, listed = Clusters(alice).ask_lab("GET")
    assert (status_code, listed["clusters"], listed["problem"]) == (200, [], None)
    assert "zmumu" in alice.lab("af/storage/demo/list?path=/cms").text


@pytest.mark.browser
def test_a_browser_gets_in_when_nothing_is_encrypted(public: Facility, new_page: Any) -> None:
    # beyond loopback, a browser treats http otherwise: no Sec-Fetch headers, no secure context
    bob = Person(new_page(), public.base_url, "bob")
    bob.log_in()
    bob.choose("Small")
    bob.start()
    bob.browse("cms", "zmumu")
    bob.hook("row", name="zmumu_0.root").wait_for()


def test_only_two_doors_are_open_to_others_when_the_address_is_not_loopback(
    public: Facility, host: str
) -> None:
    doors = set()
    for pid in public.processes:
        with suppress(psutil.NoSuchProcess):  # some come and go
            for one in psutil.Process(pid).net_connections(kind="inet"):
                if one.status == "LISTEN" and not one.laddr.ip.startswith("127.0.0.1"):
                    doors.add((one.laddr.ip, one.laddr.port))
    assert (host, public.port) in doors
    assert {ip for ip, _ in doors} == {host}
    assert len(doors) == 2
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", public.port), timeout=5).close()


def test_a_warning_is_loud_when_others_can_get_in(
    public: Facility, facility: Facility, host: str
) -> None:
    if not host.startswith("127."):
        warning = f"!!! WARNING: everybody who reaches {public.base_url} can log in"
        assert public.text().count(warning) == 2
    assert "WARNING" not in facility.text()
    assert "!!!" not in facility.text()


def test_two_facilities_run_side_by_side_when_data_and_port_differ(
    public: Facility, facility: Facility
) -> None:
    assert public.instance != facility.instance
    assert public.processes.isdisjoint(facility.processes)
    for one in (public, facility):
        assert one.log_in("bob").api("GET", "user").json["name"] == "bob"
