"""Starting, killing and moving a Rucio server: its catalogue is always whole and up to date."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from testbed.facility import living
from testbed.iam import free_ports
from testbed.pace import slowness
from testbed.rucio import DEMO, in_path, prepare_rucio, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.iam import IAM
    from testbed.rucio import RucioServer

FILES = f"/dids/cms/{in_path('/ZMuMu/Simulated/CONTAINER')}/files"


@pytest.fixture
def stopped(tmp_path: Path, iam: IAM) -> Iterator[RucioServer]:
    """Give a server that has never run; it is ended whatever the test does."""
    # people give folders any name
    server = prepare_rucio(tmp_path / "50% of 'data'? #1 ü", iam)
    yield server
    if server.process is not None and server.process.poll() is None:
        server.process.kill()
        server.process.wait()


def rows(server: RucioServer, table: str) -> int | None:
    """Count rows in the database's file; None if it has no such table."""
    try:
        with closing(sqlite3.connect(server.home.database)) as connection:
            (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
    except sqlite3.OperationalError:
        return None
    assert isinstance(count, int)
    return count


def test_catalogue_follows_when_ports_people_and_files_move(stopped: RucioServer, iam: IAM) -> None:
    server = stopped
    server.start()
    replicas = server.replicas("cms", DEMO["cms"][0])
    assert server.post("/scopes/dora/user.dora", {}, user="dora").status == 201
    server.stop()

    store = server.settings.store
    (store / "cms/zmumu/zmumu_0.root").unlink()
    (store / "cms/zmumu/zmumu_1.root").write_bytes(b"other content")
    (store / "cms/zmumu/zmumu_9.root").write_bytes(b"new")
    origin, disk = server.settings.storage
    moved = (replace(origin, scheme="davs", host="127.0.0.1", port=7), replace(disk, port=8))
    server.settings = replace(
        server.settings, port=free_ports(1)[0], storage=moved, people=server.settings.people[:1]
    )
    server.write_settings()
    server.start()

    listed = {row["name"]: row for row in server.get(FILES).rows}
    assert sorted(listed) == [f"/store/cms/zmumu/zmumu_{number}.root" for number in (1, 2, 3, 9)]
    changed = listed[DEMO["cms"][1]]
    assert (changed["bytes"], changed["adler32"]) == (13, "2450053e")
    assert server.replicas("cms", DEMO["cms"][1]) == {
        "DEMO_ORIGIN": [f"davs://127.0.0.1:7{DEMO['cms'][1]}"],
        "DEMO_DISK": [f"davs://127.0.0.1:8{DEMO['cms'][1]}"],
    }
    assert replicas["DEMO_ORIGIN"] == [f"root://localhost:1094/{DEMO['cms'][0]}"]
    # what a user has made is still there, and who is not in the list any more is out
    assert "user.dora" in server.get("/scopes/").json
    assert server.get("/accounts/whoami", user="bob").status == 401


def test_start_is_quick_when_the_database_has_to_be_made_anew(stopped: RucioServer) -> None:
    with closing(sqlite3.connect(stopped.home.database)) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('of-another-rucio')")
        connection.commit()
    stopped.token("alice")
    begin = time.monotonic()
    stopped.start()
    assert stopped.get("/accounts/whoami").status == 200
    cold = time.monotonic() - begin
    assert cold < 8 * slowness()  # 1.7 s on a quiet machine
    assert len(stopped.get(FILES).rows) == 4
    assert stat.S_IMODE(stopped.home.database.stat().st_mode) == 0o600


def test_server_waits_when_the_store_is_not_filled_yet(stopped: RucioServer) -> None:
    mark = stopped.home.folder / "filled"
    stopped.settings = replace(stopped.settings, filled=mark)
    stopped.write_settings()
    stopped.launch()
    wait_until(lambda: rows(stopped, "accounts") == 0, "the tables", stopped.process)
    assert not stopped.is_up()
    late = stopped.settings.store / "cms/zmumu/zmumu_late.root"
    late.write_bytes(b"late")
    mark.touch()
    wait_until(stopped.is_up, "Rucio", stopped.process)
    names = {row["name"] for row in stopped.get(FILES).rows}
    assert "/store/cms/zmumu/zmumu_late.root" in names


@pytest.mark.faults
def test_catalogue_is_all_or_nothing_when_the_seeding_is_killed(stopped: RucioServer) -> None:
    many = stopped.settings.store / "cms" / "many"
    many.mkdir()
    for number in range(400):
        (many / f"{number}.root").touch()
    whole = 400 + sum(map(len, DEMO.values())) + 4
    for pause in (0.0, 0.15):
        stopped.home.database.unlink(missing_ok=True)
        stopped.launch()
        assert stopped.process is not None
        wait_until(lambda: rows(stopped, "accounts") is not None, "the tables", stopped.process)
        time.sleep(pause)
        stopped.process.kill()
        stopped.process.wait()
        assert rows(stopped, "replicas") in {0, 2 * whole}
    stopped.start()
    assert rows(stopped, "replicas") == 2 * whole
    assert len(stopped.get(FILES).rows) == 4


@pytest.mark.faults
def test_server_answers_again_when_its_processes_were_killed(stopped: RucioServer) -> None:
    stopped.start()
    (_, worker) = stopped.pids
    os.kill(worker, signal.SIGKILL)
    wait_until(stopped.is_up, "another worker", stopped.process)
    (parent, worker) = stopped.pids
    os.kill(parent, signal.SIGKILL)
    assert stopped.process is not None
    stopped.process.wait()
    # the worker does not stay behind on the port
    wait_until(lambda: not living({worker}), "the worker's end", None)
    stopped.start()
    assert stopped.get("/accounts/whoami").status == 200
