"""From Rucio to the first event in the facility that the command starts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from testbed.facility import wait_for
from testbed.lab_terminal import Terminal
from testbed.require import require

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.facility import Facility, User

CONTAINER = "/ZMuMu/Simulated/CONTAINER"


@pytest.fixture(scope="module")
def alice(facility: Facility) -> Iterator[User]:
    """Give Alice with a running Lab; other tests begin without one."""
    user = facility.log_in("alice")
    user.start_server()
    yield user
    user.stop_server()


def test_a_dataset_is_found_and_read_through_the_cache(facility: Facility, alice: User) -> None:
    scopes = alice.lab("af/rucio/scopes")
    assert "cms" in scopes.json["scopes"], scopes.text
    query = {"scope": "cms", "name": "ZMuMu", "type": "container"}
    found = alice.lab(f"af/rucio/search?{urlencode(query)}").text
    assert CONTAINER in found
    asked = {"scope": "cms", "name": CONTAINER, "type": "container", "library": "uproot"}
    reading = alice.lab(f"af/rucio/code?{urlencode(asked)}").json
    assert reading["files"] > 0
    assert reading["left_out"] == 0
    output = Terminal(alice).run(sys.executable, "-c", reading["code"])
    assert int(output.split()[0]) > 0  # events of the first chunk


def test_the_way_leads_through_the_cache_where_there_is_one(
    facility: Facility, alice: User
) -> None:
    doors = {door["name"]: door for door in alice.lab("af/storage").json["doors"]}
    require("xrootd", "cache" in doors, "the facility runs without XRootD")
    asked = {"scope": "cms", "name": CONTAINER, "type": "container"}
    code = alice.lab(f"af/rucio/code?{urlencode(asked)}").json["code"]
    assert f"'{doors['cache']['url']}/cms/" in code


def test_rucios_client_works_in_a_terminal(facility: Facility, alice: User) -> None:
    environment = Terminal(alice).environment
    config = Path(environment["RUCIO_CONFIG"])
    wait_for(config.exists, "rucio.cfg")
    wait_for((Path(environment["AF_TOKEN_DIR"]) / "rucio").exists, "the token file")
    rucio = str(Path(sys.executable).with_name("rucio"))
    assert "alice" in Terminal(alice).run(rucio, "whoami")
    assert "BLOCK-1" in Terminal(alice).run(rucio, "did", "content", "list", f"cms:{CONTAINER}")
    assert config.stat().st_mode & 0o077 == 0
