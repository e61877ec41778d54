"""The code that goes into notebooks is run, against a real https door that wants a token."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import uproot

from af_labextension.data.doors import Door
from af_labextension.data.snippets import reading_code
from testbed.webdav import GOOD, WebDAVDoor, running_door

if TYPE_CHECKING:
    from pathlib import Path

NAME = "Z #1 100%[a]:b é.root"
"""A name with everything that URLs, globs and uproot's own path syntax trip over."""


@pytest.fixture
def door(webdav_door: WebDAVDoor) -> Door:
    """Put a ROOT file and a text file behind the door."""
    with uproot.recreate(webdav_door.store / "plain.root") as file:
        file.mktree("Events", {"pt": "float64"})
        for part in range(3):
            file["Events"].extend({"pt": np.arange(1000.0) + 1000 * part})
    (webdav_door.store / "plain.root").rename(webdav_door.store / NAME)
    (webdav_door.store / "notes.txt").write_text("hello")
    return Door("demo", "Demo", webdav_door.url, "storage")


def run(code: str, webdav_door: WebDAVDoor, tmp_path: Path) -> str:
    """Run code as a kernel would: the token file in the environment, no token."""
    token_file = tmp_path / "bt"
    token_file.write_text(GOOD + "\n")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "BEARER_TOKEN_FILE": str(token_file),
        "SSL_CERT_FILE": str(webdav_door.ca_file),
        "DASK_CONFIG": str(tmp_path),
    }
    script = tmp_path / "notebook.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, str(script)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_root_file_is_read_when_its_name_is_odd(
    door: Door, webdav_door: WebDAVDoor, tmp_path: Path
) -> None:
    code = reading_code(door, f"/{NAME}")
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    assert GOOD not in code
    compile(code, "cell", "exec")
    output = run(
        code + "print(file['Events']['pt'].array(library='np').sum())", webdav_door, tmp_path
    )
    assert float(output) == sum(range(3000))
    assert {token for _, _, token in webdav_door.requests} == {GOOD}


def test_an_open_file_reads_on_when_its_token_was_replaced(
    door: Door, webdav_door: WebDAVDoor, tmp_path: Path
) -> None:
    code = reading_code(door, f"/{NAME}") + (
        "Path(os.environ['BEARER_TOKEN_FILE']).write_text('second-token')\n"
        "print(file['Events']['pt'].array(library='np').sum())\n"
    )
    webdav_door.accepted.add("second-token")
    assert float(run(code, webdav_door, tmp_path)) == sum(range(3000))
    assert webdav_door.requests[0][2] == GOOD
    assert webdav_door.requests[-1][2] == "second-token"


def test_any_other_file_is_read_as_bytes(
    door: Door, webdav_door: WebDAVDoor, tmp_path: Path
) -> None:
    code = reading_code(door, "/notes.txt") + "print(content.decode())"
    assert run(code, webdav_door, tmp_path).strip() == "hello"


ON_WORKERS = """
if __name__ == "__main__":
    from distributed import Client, LocalCluster

    def total(path, with_token):
        import os, uproot
        with uproot.open({path: "Events"}, client_kwargs={"middlewares": [with_token]}) as tree:
            return os.getpid(), float(tree["pt"].array(library="np").sum())

    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        with Client(cluster) as client:
            worker, result = client.submit(total, URL, with_token).result()
            whole = client.submit(lambda f: float(f["Events"]["pt"].array(library="np").sum()), file)
            print(worker != os.getpid(), result, whole.result())
"""


def test_workers_read_with_their_own_token_file(
    door: Door, webdav_door: WebDAVDoor, tmp_path: Path
) -> None:
    url = f"{door.url}/{NAME}"
    code = reading_code(door, f"/{NAME}")
    url = code.split('uproot.open({"', 1)[-1].split("uproot.open({'", 1)[-1].split("'")[0]
    output = run(f"{code}\nURL = {url!r}\n{ON_WORKERS}", webdav_door, tmp_path)
    assert output.split() == ["True", str(float(sum(range(3000)))), str(float(sum(range(3000))))]
    assert {token for _, _, token in webdav_door.requests} == {GOOD}


def test_the_token_stays_at_home_when_a_redirect_leads_elsewhere(
    door: Door, webdav_door: WebDAVDoor, tmp_path: Path
) -> None:
    code = reading_code(door, "/notes.txt")
    with running_door(tmp_path) as stranger:
        (stranger.store / "notes.txt").write_text("from elsewhere")
        stranger.accepted = {None}
        webdav_door.redirect_to = stranger.url + "/notes.txt"
        with webdav_door.ca_file.open("a") as authorities:
            authorities.write(stranger.ca_file.read_text())
        output = run(code + "print(content.decode())", webdav_door, tmp_path)
        assert output.strip() == "from elsewhere"
        assert {token for _, _, token in webdav_door.requests} == {GOOD}
        assert {token for _, _, token in stranger.requests} == {None}


@pytest.mark.parametrize(
    "path", ["/a'b.root", '/a"b.root', "/a\\b.root", "/{x}.root", "/'); x=('.txt"]
)
def test_a_name_cannot_leave_its_string(path: str) -> None:
    code = reading_code(Door("demo", "Demo", "https://host/store", "storage"), path)
    compile(code, "cell", "exec")
    names = {line.split("(")[0] for line in code.splitlines() if "x=" in line}
    assert not names


def test_an_open_door_needs_no_token() -> None:
    code = reading_code(Door("open", "Open", "https://host/store", None), "/a.root")
    assert "BEARER" not in code
    compile(code, "cell", "exec")
