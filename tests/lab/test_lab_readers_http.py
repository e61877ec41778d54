"""Plain fsspec and uproot over https: each request of the doors has the token of the moment."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
import uproot

from testbed.webdav import GOOD, WebDAVDoor, running_door

if TYPE_CHECKING:
    from pathlib import Path

SECOND = "eyJ.planted-second-token.abc"

TOTAL = "print(file['Events']['pt'].array(library='np').sum())\n"


@dataclass
class Notebook:
    """Runs code as a kernel does.

    Parameters
    ----------
    door
        Its storage.
    folder
        For its files.
    environment
        Beside the usual.
    """

    door: WebDAVDoor
    folder: Path
    environment: dict[str, str]

    def run(self, code: str) -> str:
        """Run code; ``URL`` is the door, ``renew(token)`` replaces the token."""
        head = (
            "import os, fsspec, uproot\nfrom pathlib import Path\n"
            f"URL = {self.door.url!r}\n"
            "def renew(token): Path(os.environ['BEARER_TOKEN_FILE']).write_text(token)\n"
            f"renew({GOOD!r})\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", head + code],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.folder),
                "BEARER_TOKEN_FILE": str(self.folder / "bt"),
                "SSL_CERT_FILE": str(self.door.ca_file),
                "AF_DOORS": f"storage={self.door.url}",
                **self.environment,
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def tokens(self) -> list[str | None]:
        """The token of each request that the door got, repetitions left out."""
        seen = [token for _, _, token in self.door.requests]
        return [one for number, one in enumerate(seen) if seen[number - 1 : number] != [one]]


@pytest.fixture
def notebook(webdav_door: WebDAVDoor, tmp_path: Path) -> Notebook:
    """Put a ROOT file and a text file behind the door."""
    with uproot.recreate(webdav_door.store / "a.root") as file:
        file.mktree("Events", {"pt": "float64"})
        for part in range(3):
            file["Events"].extend({"pt": np.arange(1000.0) + 1000 * part})
    (webdav_door.store / "notes.txt").write_text("hello")
    return Notebook(webdav_door, tmp_path, {})


def test_an_open_file_reads_on_when_the_token_is_another_one(notebook: Notebook) -> None:
    code = "file = uproot.open(URL + '/a.root')\n" + f"renew({SECOND!r})\n" + TOTAL
    notebook.door.accepted.add(SECOND)
    assert float(notebook.run(code)) == sum(range(3000))
    assert notebook.tokens == [GOOD, SECOND]


def test_every_way_of_fsspec_shows_the_token(notebook: Notebook) -> None:
    code = """
fs = fsspec.filesystem("https")
print(fs.cat(URL + "/notes.txt"), fs.exists(URL + "/notes.txt"), fs.size(URL + "/notes.txt"))
print(fsspec.open(URL + "/notes.txt", "rt").open().read())
import pickle
print(pickle.loads(pickle.dumps(fs)).cat(URL + "/notes.txt"))
"""
    assert notebook.run(code).split() == ["b'hello'", "True", "5", "hello", "b'hello'"]
    assert notebook.tokens == [GOOD]


def test_a_header_of_the_users_own_stays(notebook: Notebook) -> None:
    notebook.door.accepted.add("own")
    code = """
headers = {"Authorization": "Bearer own"}
print(fsspec.filesystem("https", headers=headers).cat(URL + "/notes.txt"))
print(fsspec.filesystem("https", client_kwargs={"headers": headers}).cat(URL + "/notes.txt"))
"""
    assert notebook.run(code).split() == ["b'hello'"] * 2
    assert notebook.tokens == ["own"]


@pytest.mark.parametrize("name", ["AF_READERS", "AF_DOORS"])
def test_no_token_is_shown_when_it_is_turned_off_or_the_address_is_no_door(
    notebook: Notebook, name: str
) -> None:
    notebook.door.accepted.add(None)
    notebook.environment[name] = "off"
    assert notebook.run("print(fsspec.filesystem('https').cat(URL + '/notes.txt'))\n")
    assert notebook.tokens == [None]


def test_the_token_stays_at_home_when_a_redirect_leads_elsewhere(
    notebook: Notebook, tmp_path: Path
) -> None:
    with running_door(tmp_path) as stranger:
        (stranger.store / "notes.txt").write_text("from-elsewhere")
        stranger.accepted = {None}
        notebook.door.redirect_to = stranger.url + "/notes.txt"
        with notebook.door.ca_file.open("a") as authorities:
            authorities.write(stranger.ca_file.read_text())
        output = notebook.run("print(fsspec.filesystem('https').cat(URL + '/notes.txt').decode())")
        assert output.strip() == "from-elsewhere"
        assert notebook.tokens == [GOOD]
        assert {token for _, _, token in stranger.requests} == {None}


def test_workers_take_their_own_token_when_a_file_is_sent_to_them(notebook: Notebook) -> None:
    code = """
import pickle, subprocess, sys
file = uproot.open(URL + "/a.root")
sent = pickle.dumps(file)
assert b"planted" not in sent
Path("there").write_text("eyJ.planted-second-token.abc")
program = "import pickle, sys; f = pickle.load(sys.stdin.buffer); print(f['Events']['pt'].array(library='np').sum())"
environment = {**os.environ, "BEARER_TOKEN_FILE": "there"}
print(subprocess.run([sys.executable, "-c", program], input=sent, env=environment, capture_output=True).stdout.decode())
"""
    notebook.door.accepted.add(SECOND)
    code = f"os.chdir({str(notebook.folder)!r})\n{code}"
    assert float(notebook.run(code)) == sum(range(3000))
    assert notebook.tokens == [GOOD, SECOND]
