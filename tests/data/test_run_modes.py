"""``analysis-facility run`` with XRootD, and where its programs are missing."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from af_hub.embedded import secrets
from af_hub.embedded.iam.config import IAMConfig
from af_hub.embedded.ports import read_ports
from af_hub.embedded.xrootd.availability import installed_version
from af_hub.xcache.versions import caution
from testbed.facility import running_facility
from testbed.iam import IAM, Browser
from testbed.xrootd import require_xrootd

if TYPE_CHECKING:
    from testbed.facility import Facility


def storage_token(facility: Facility, username: str) -> str:
    """Return the token that the hub would get for the Lab of a user."""
    config = IAMConfig.model_validate_json((facility.layout.iam / "config.json").read_text())
    secret = secrets.read_secret(facility.layout, secrets.CLIENT_SECRET).reveal()
    nobody = subprocess.Popen(["true"])
    nobody.wait()
    iam = IAM(facility.layout, config, nobody, secret)
    callback = f"{facility.base_url}/hub/oauth_callback"
    login = iam.log_in(username, callback=callback)["access_token"]
    ports = read_ports(facility.layout.state / "ports.json")
    audience = f"https://127.0.0.1:{ports['storage']}"
    answer = iam.exchange(login, "storage.read:/store/cms", audience=audience)
    token = answer.json["access_token"]
    assert isinstance(token, str)
    return token


def test_data_is_read_by_xrootd_and_webdav_with_one_token(facility: Facility) -> None:
    require_xrootd()
    token = storage_token(facility, "bob")
    path = facility.layout.state / "bob-token"
    path.touch(0o600)
    path.write_text(token)
    ports = read_ports(facility.layout.state / "ports.json")
    name = "store/cms/zmumu/zmumu_0.root"
    wanted = (facility.layout.storage / name).read_bytes()
    environment = {
        **os.environ,
        "X509_CERT_DIR": str(facility.layout.certificates),
        "BEARER_TOKEN_FILE": str(path),
    }
    copied = subprocess.run(
        ["xrdcp", "-s", f"root://127.0.0.1:{ports['xcache']}//{name}", "-"],
        env=environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert copied.returncode == 0, copied.stderr
    assert copied.stdout == wanted
    for door in ("storage", "xcache_https"):
        request = urllib.request.Request(
            f"https://127.0.0.1:{ports[door]}/{name}", headers={"Authorization": f"Bearer {token}"}
        )
        with Browser(facility.layout.ca_bundle)._opener.open(request, timeout=60) as answer:
            assert answer.read() == wanted
    assert "WebDAV only" not in facility.text()
    version = installed_version()
    assert version is not None
    # faults of the installed version are told, and only where it has any
    assert caution(version) in facility.text()
    assert ("for trying only" in facility.text()) == bool(caution(version))
    assert "login as xcachesvc" in facility.layout.log("xrootd-origin").read_text()


@pytest.fixture
def without_xrootd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave only what a facility needs beside Python in the search path, and not xrootd."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("node", "npm", "sh", "env", "bash"):
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(folder))


@pytest.mark.usefixtures("without_xrootd")
def test_data_is_served_by_webdav_when_xrootd_is_missing(tmp_path: Path) -> None:
    with running_facility(tmp_path / "data") as facility:
        said = re.findall("^- Experiment data by WebDAV only: (.*)$", facility.text(), re.MULTILINE)
        assert len(said) == 1
        assert said[0].startswith("xrootd is missing (on Debian or Ubuntu: apt install xrootd-")
        assert "XCache" not in facility.text()
        for pid in facility.processes:
            with suppress(OSError):  # some come and go
                assert "af_hub.embedded.network" not in Path(f"/proc/{pid}/cmdline").read_text()
        # the Lab is not sent to a door that nobody opens
        config = (facility.layout.hub / "jupyterhub_config.py").read_text()
        assert "without=('cache',)" in config
        assert facility.log_in("bob").api("GET", "user").json["name"] == "bob"
        ports = read_ports(facility.layout.state / "ports.json")
        browser = Browser(facility.layout.ca_bundle)
        assert browser.send(f"https://127.0.0.1:{ports['storage']}/store").status == 401
        with pytest.raises(urllib.error.URLError):
            browser.send(f"https://127.0.0.1:{ports['xcache_https']}/store")
        assert facility.stop(signal.SIGINT) == 0
