"""Health of a real hub whose disk fills up, and whose identity provider stays away for a day."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING, Any

import pytest

from testbed.iam import Browser
from testbed.iam_hub import start_hub
from testbed.small_disk import small_disk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.iam_hub import Hub

QUICK = """
import time
import af_hub.iam.discovery, af_hub.iam.health
af_hub.iam.health.KEEP = 0.2
ahead = Path(given["root"]) / "ahead"
ahead.write_text("0")
clock = lambda: time.monotonic() + float(ahead.read_text() or 0)
af_hub.iam.discovery.Issuer.__init__.__kwdefaults__["clock"] = clock
c.JupyterHub.db_url = "sqlite:///" + given["root"] + "/disk/hub.sqlite"
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """Give a hub whose database has a small disk for itself."""
    root = tmp_path_factory.mktemp("health-hub")
    with small_disk(root / "disk"):
        hub = start_hub(root, more=QUICK)
        try:
            yield hub
        finally:
            hub.stop()
            hub.iam.stop()


def health(hub: Hub, **headers: str) -> tuple[int, list[str]]:
    answer = Browser().send(f"{hub.url}/hub/api/af/health", headers=headers)
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.status, answer.json["codes"]


def wait_for(hub: Hub, status: int, codes: list[str]) -> None:
    deadline = time.monotonic() + 60
    while (found := health(hub)) != (status, codes):
        assert time.monotonic() < deadline, found
        time.sleep(0.2)


def read(hub: Hub, query: str) -> list[Any]:
    database = sqlite3.connect(hub.root / "disk" / "hub.sqlite")
    try:
        return database.execute(query).fetchall()
    finally:
        database.close()


def fill(folder: Path) -> Path:
    filler = folder / "filler"
    try:
        with filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    except OSError:
        return filler


def test_health_says_full_and_logins_work_again_when_the_disk_was_full(hub: Hub) -> None:
    wait_for(hub, 200, [])
    bob, _ = hub.log_in("bob")
    filler = fill(hub.root / "disk")
    try:
        wait_for(hub, 503, ["database-full"])
        # what a login needs is not there, and JupyterHub's own health does not notice
        assert hub.log_in("carol")[1].status == 500
        assert Browser().send(f"{hub.url}/hub/health").status == 200
        assert hub.process.poll() is None
    finally:
        filler.unlink()
    wait_for(hub, 200, [])
    for name in ("carol", "dora"):
        assert hub.log_in(name)[1].url == f"{hub.url}/hub/home"
    assert hub.api(bob, "user").json["name"] == "bob"


def test_health_works_at_the_first_call_and_looks_for_no_user(hub: Hub) -> None:
    hub.stop()
    database = sqlite3.connect(hub.root / "disk" / "hub.sqlite")
    database.execute("drop table if exists af_health")
    database.commit()
    database.close()
    hub.iam.stop()
    hub.start()
    try:
        # no key was ever had since the hub's start, no row was ever written
        assert health(hub) == (503, ["keys-unknown"])
        used = "select id, last_activity from api_tokens order by id"
        before = read(hub, used)
        token = hub.services["other"]
        assert health(hub, Authorization=f"token {token}")[0] == 503
        assert (
            health(hub, Authorization="token nonsense", Cookie="jupyterhub-hub-login=x")[0] == 503
        )
        assert read(hub, used) == before
    finally:
        hub.iam.start()
    wait_for(hub, 200, [])
    assert len(read(hub, "select * from af_health")) == 1


def test_health_fails_when_the_keys_are_older_than_a_day(hub: Hub) -> None:
    wait_for(hub, 200, [])
    ahead = hub.root / "ahead"
    hub.iam.stop()
    try:
        ahead.write_text(str(float(ahead.read_text()) + 24 * 3600 + 60))
        wait_for(hub, 503, ["keys-expired"])
    finally:
        hub.iam.start()
    ahead.write_text(str(float(ahead.read_text()) + 120))  # it is not asked again at once
    wait_for(hub, 200, [])
