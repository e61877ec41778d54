"""Rucio in a facility that was started by its command: the catalogue is true."""

from __future__ import annotations

import ssl
import subprocess
import sys
import urllib.request
import zlib
from typing import TYPE_CHECKING

import pytest

from af_hub.embedded.iam.config import IAMConfig
from af_hub.embedded.rucio.config import RucioHome
from af_hub.embedded.rucio.server.af_rucio.settings import Settings
from af_hub.embedded.secrets import CLIENT_SECRET, read_secret
from testbed.iam import IAM
from testbed.rucio import RucioServer, in_path

if TYPE_CHECKING:
    from testbed.facility import Facility

STORAGE_SCOPE = "storage.read:/store/cms"


@pytest.fixture
def rucio(facility: Facility) -> RucioServer:
    """Give the facility's Rucio server."""
    layout = facility.layout
    config = IAMConfig.load(layout.iam / "config.json")
    nobody = subprocess.Popen([sys.executable, "-c", ""])
    nobody.wait()
    iam = IAM(layout, config, nobody, read_secret(layout, CLIENT_SECRET).reveal())
    home = RucioHome(layout.rucio)
    callback = f"{facility.base_url}/hub/oauth_callback"
    server = RucioServer(home, Settings.load(home.settings), iam, layout.log("rucio"))
    server.callback = callback
    return server


def test_catalogue_is_what_storage_gives_when_its_addresses_are_read(
    facility: Facility, rucio: RucioServer
) -> None:
    files = rucio.get(f"/dids/cms/{in_path('/ZMuMu/Simulated/CONTAINER')}/files").rows
    store = facility.layout.store
    there = {f"/store/{path.relative_to(store)}" for path in (store / "cms").rglob("*.root")}
    assert {row["name"] for row in files} == there
    disk = next(each for each in rucio.settings.storage if each.name == "DEMO_DISK")
    token = rucio.token("bob", audience=f"https://{disk.host}:{disk.port}", scope=STORAGE_SCOPE)
    context = ssl.create_default_context(cafile=str(facility.layout.ca_certificate))
    for row in files:
        ((address,),) = [
            found for rse, found in rucio.replicas("cms", row["name"]).items() if rse == "DEMO_DISK"
        ]
        request = urllib.request.Request(
            address.replace("davs://", "https://"), headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request, timeout=60, context=context) as answer:
            content = answer.read()
        assert (len(content), f"{zlib.adler32(content):08x}") == (row["bytes"], row["adler32"])


def test_origin_is_named_as_the_cache_knows_it(facility: Facility, rucio: RucioServer) -> None:
    (address,) = rucio.replicas("atlas", "/store/atlas/zmumu/zmumu_small.root")["DEMO_ORIGIN"]
    if "WebDAV only" in facility.text():
        assert address.startswith("davs://127.0.0.1:")
    else:
        assert address == "root://localhost:1094//store/atlas/zmumu/zmumu_small.root"


def test_accounts_of_the_demo_may_read_and_others_may_not(rucio: RucioServer) -> None:
    for user in ("alice", "bob", "carol", "dora"):
        assert rucio.get("/accounts/whoami", user=user).json["account"] == user
    assert rucio.get("/accounts/whoami", user="eve").status == 401


def test_no_token_is_in_the_logs_of_the_facility(facility: Facility, rucio: RucioServer) -> None:
    token = rucio.token("alice")
    assert rucio.get("/scopes/").status == 200
    assert rucio.get("/scopes/", token=token[:-5]).status == 401
    assert token.split(".")[1][:60] not in facility.logs()
    assert "secret" not in rucio.home.issuers.read_text()
