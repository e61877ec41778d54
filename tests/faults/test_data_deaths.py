"""What happens to the inner network, XRootD and Rucio of a facility when processes are killed."""

from __future__ import annotations

import os
import re
import secrets
import signal
import ssl
import subprocess
import time
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from af_hub.embedded.iam.config import IAMConfig
from af_hub.embedded.iam.people import DEMO_PEOPLE
from af_hub.embedded.ports import read_ports
from af_hub.embedded.secrets import CLIENT_SECRET, read_secret
from af_hub.facility import load
from testbed.facility import Facility, living, running_facility, wait_for
from testbed.iam import IAM
from testbed.xrootd import require_xrootd

if TYPE_CHECKING:
    from collections.abc import Iterable

pytestmark = pytest.mark.faults

KINDS = ("net", "user", "mnt", "uts")


@dataclass(frozen=True)
class Reader:
    """Bob, who reads the experiment's data with the token that his Lab would get.

    Parameters
    ----------
    facility
        The facility; its ports stay when it is started again.
    token
        A file with the token.
    """

    facility: Facility
    token: Path

    def reads(self) -> bool:
        """Tell whether a new file arrives whole over root:// and over https."""
        layout, ports = self.facility.layout, read_ports(self.facility.layout.state / "ports.json")
        content = secrets.token_bytes(1000)
        name = f"store/cms/{secrets.token_hex(6)}.bin"
        (layout.storage / name).write_bytes(content)
        done = subprocess.run(
            ["xrdcp", "-s", f"root://127.0.0.1:{ports['xcache']}//{name}", "-"],
            env=os.environ
            | {
                "X509_CERT_DIR": str(layout.certificates),
                "BEARER_TOKEN_FILE": str(self.token),
                "XRD_CONNECTIONRETRY": "1",
                "XRD_CONNECTIONWINDOW": "2",
            },
            capture_output=True,
            timeout=90,
            check=False,
        )
        request = urllib.request.Request(
            f"https://127.0.0.1:{ports['xcache_https']}/{name}",
            headers={"Authorization": f"Bearer {self.token.read_text()}"},
        )
        context = ssl.create_default_context(cafile=str(layout.ca_certificate))
        with urllib.request.urlopen(request, timeout=90, context=context) as answer:
            return done.stdout == content and answer.read() == content

    def catalogue_answers(self) -> bool:
        """Tell whether Rucio is there."""
        ports = read_ports(self.facility.layout.state / "ports.json")
        with urllib.request.urlopen(f"http://127.0.0.1:{ports['rucio']}/ping", timeout=30) as one:
            return bool(one.status == 200)


def make_reader(facility: Facility, username: str) -> Reader:
    """Log in and get the token as the hub does for a Lab."""
    layout = facility.layout
    never = subprocess.Popen(["true"])
    never.wait()
    secret = read_secret(layout, CLIENT_SECRET).reveal()
    iam = IAM(layout, IAMConfig.load(layout.iam / "config.json"), never, secret)
    login = iam.log_in(username, callback=f"{facility.base_url}/hub/oauth_callback")
    audience = load(layout.facility_file).identity.audiences["storage"]
    answer = iam.exchange(login["access_token"], audience.scope, audience=audience.audience)
    assert answer.status == 200, answer.text
    path = layout.state / "reader-token"
    path.touch(0o600)
    path.write_text(answer.json["access_token"])
    return Reader(facility, path)


def namespaces_of(pids: Iterable[int]) -> set[str]:
    """Return the namespaces of processes that are not those of this one."""
    found = set()
    for pid in pids:
        for kind in KINDS:
            with suppress(OSError):
                found.add(str(Path(f"/proc/{pid}/ns/{kind}").readlink()))
    return found - {str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in KINDS}


def holders_of(namespaces: set[str], moment: float) -> dict[str, str]:
    """Return what keeps namespaces alive: processes, open descriptors and mounts, by place.

    The kernel gives the number of a namespace that is gone to the next one, so only processes count
    that were there at `moment`, seconds since the epoch.
    """
    found = {}
    for process in psutil.process_iter():
        with suppress(OSError, psutil.Error):
            if process.create_time() > moment:
                continue
            folder = Path(f"/proc/{process.pid}")
            for place in (*folder.glob("ns/*"), *folder.glob("fd/*")):
                if (name := str(place.readlink())) in namespaces:
                    found[str(place)] = name
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if any(name in line for name in namespaces):
            found[line] = "mount"
    return found


def assert_nothing_is_left(
    facility: Facility, namespaces: set[str], moment: float, mounts: list[str]
) -> None:
    """Fail if processes, namespaces or mounts have outlived the facility's end at `moment`."""
    assert facility.processes == set()
    assert holders_of(namespaces, moment) == {}
    assert system_mounts() == mounts


def system_mounts() -> list[str]:
    """Return every mount that is seen outside: device, what of it is shown, and where."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return sorted(" ".join(line.split()[2:5]) for line in lines)


def kill(facility: Facility, part: str, *, server: bool = False) -> None:
    """Kill a part, or the server that is its child: neither outlives the other, both come back."""
    launcher = facility.pid(part)
    children = [child.pid for child in psutil.Process(launcher).children()]
    os.kill(children[0] if server else launcher, signal.SIGKILL)
    before = {launcher, *children}
    wait_for(lambda: not living(before), f"the end of {part}", 20)
    assert facility.pid(part) not in before


def test_data_parts_come_back_and_nothing_is_left_when_all_is_killed(tmp_path: Path) -> None:
    require_xrootd()
    mounts = system_mounts()
    with running_facility(tmp_path / "data") as facility:
        bob = make_reader(facility, "bob")
        assert bob.reads()
        assert bob.catalogue_answers()

        kill(facility, "xrootd-origin")
        wait_for(bob.reads, "the origin")
        kill(facility, "xcache", server=True)  # the server alone: its launcher ends with it
        wait_for(bob.reads, "the cache")
        kill(facility, "network")  # the servers in it cannot go on
        wait_for(bob.reads, "the network")
        kill(facility, "rucio")
        wait_for(bob.catalogue_answers, "Rucio")

        log = facility.layout.log("xrootd-origin").read_text()
        assert set(re.findall("login as (.*)", log)) == {"xcachesvc"}
        sub = next(person.sub for person in DEMO_PEOPLE if person.username == "bob")
        signature = bob.token.read_text().rpartition(".")[2]
        assert [word for word in (sub, "bob", signature) if word in log] == []

        namespaces = namespaces_of(facility.processes)
        assert len(namespaces) >= 3
        everything = facility.processes
        moment = time.time()
        facility.process.kill()
        facility.process.wait()
        wait_for(lambda: not facility.processes, "the guard's sweep", 20)
        assert living(everything) == set()
        assert_nothing_is_left(facility, namespaces, moment, mounts)

    with running_facility(tmp_path / "data", port=facility.port) as again:
        assert Reader(again, bob.token).reads()
        namespaces, moment = namespaces_of(again.processes), time.time()
        assert again.stop(signal.SIGINT) == 0
        assert "Stopped; nothing is left running" in again.text()
        assert_nothing_is_left(again, namespaces, moment, mounts)
