"""What a user's program meets of the connections' names: nothing, but that it works."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.xrootd import Stack

PROGRAM = r"""
import json, os, sys, threading
from pathlib import Path
from XRootD import client
from XRootD.client.flags import OpenFlags

server, first, second, target = sys.argv[1:]
url = f"root://{server}/"
seen = {}

def renew(token):
    Path(os.environ["BEARER_TOKEN_FILE"]).write_text(token)

def opened(address):
    file = client.File()
    status, _ = file.open(address, OpenFlags.READ)
    return status.ok

renew(first)
system = client.FileSystem(url)
own = client.FileSystem(url.replace("://", "://alice@"))
seen["system before"] = system.stat("/store/cms/names/a")[0].ok
seen["own before"] = own.stat("/store/cms/names/a")[0].ok
file = client.File()
seen["file before"] = file.open(url + "/store/cms/names/a", OpenFlags.READ)[0].ok
seen["properties"] = [file.get_property("DataServer"), file.get_property("LastURL").split("?")[0]]
seen["url"] = str(system.url)

renew(second)
seen["system after"] = system.stat("/store/cms/others/b")[0].ok
seen["own after"] = own.stat("/store/cms/others/b")[0].ok
seen["file after"] = bytes(file.read(0, 5)[1]).decode()
seen["open after"] = opened(url + "/store/cms/others/b")
seen["inserted code"] = opened(url.replace("://", "://t0000000@") + "/store/cms/others/b")
answer, done = [], threading.Event()
system.dirlist("/store/cms/others", callback=lambda *got: (answer.extend(got), done.set()))
done.wait(20)
seen["callback"] = [entry.name for entry in answer[1]]
seen["glob"] = client.glob(url + "/store/cms/others/*")
process = client.CopyProcess()
process.add_job(url + "/store/cms/others/b", target + "1", force=True)
process.prepare()
seen["copies"] = [process.run()[0].ok, system.copy(url + "/store/cms/others/b", target + "2")[0].ok]
# once more, with what was made under the first token
renew(first)
seen["system again"] = system.stat("/store/cms/names/a")[0].ok
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def seen(xrootd_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run the program; each of two tokens opens one folder."""
    folder = tmp_path_factory.mktemp("names")
    xrootd_stack.write("/store/cms/names/a", b"first")
    xrootd_stack.write("/store/cms/others/b", b"second")
    tokens = [xrootd_stack.token(f"storage.read:/store/cms/{name}") for name in ("names", "others")]
    before = len(xrootd_stack.log("xcache"))
    server = f"127.0.0.1:{xrootd_stack.port}"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, server, *tokens, str(folder / "copy")],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "BEARER_TOKEN_FILE": str(_private(folder / "token")),
            "X509_CERT_DIR": str(xrootd_stack.layout.certificates),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    log = xrootd_stack.log("xcache")[before:]
    copies = [(folder / f"copy{number}").read_text() for number in (1, 2)]
    return {
        **json.loads(done.stdout),
        "server": server,
        "tokens": tokens,
        "log": log,
        "content": copies,
    }


def _private(path: Path) -> Path:
    path.touch(mode=0o600)
    return path


def test_a_file_system_moves_on_when_the_token_is_another_one(seen: dict[str, Any]) -> None:
    assert seen["system before"]
    assert seen["system after"]
    assert seen["system again"]
    assert seen["callback"] == ["b"]
    assert seen["glob"] == [f"root://{seen['server']}//store/cms/others/b"]


def test_an_open_file_reads_on_when_the_token_is_another_one(seen: dict[str, Any]) -> None:
    assert seen["file before"]
    assert seen["file after"] == "first"
    assert seen["open after"]


def test_files_are_copied_when_the_token_is_another_one(seen: dict[str, Any]) -> None:
    assert seen["copies"] == [True, True]
    assert seen["content"] == ["second", "second"]


def test_a_connection_name_of_the_users_own_stays(seen: dict[str, Any]) -> None:
    assert seen["own before"]
    assert not seen["own after"]  # as ever: the connection keeps its token (xrootd #1784)
    assert re.search(r" alice\.\d+:\d+@.* login as ", seen["log"])


def test_a_name_that_inserted_code_made_under_an_older_token_is_renewed(
    seen: dict[str, Any],
) -> None:
    assert seen["inserted code"]
    assert "t0000000" not in seen["log"]


def test_the_user_sees_the_address_that_was_given(seen: dict[str, Any]) -> None:
    server = seen["server"]
    assert seen["properties"] == [server, f"root://{server}//store/cms/names/a"]
    assert seen["url"].rstrip("/") == f"root://{server}"


def test_names_in_the_servers_log_say_nothing_of_the_token(seen: dict[str, Any]) -> None:
    names = set(re.findall(r" (t[0-9a-f]{7})\.\d+:\d+@.* login as ", seen["log"]))
    assert len(names) == 2
    assert not any(name[1:] in token for name in names for token in seen["tokens"])
    assert not any(token in seen["log"] for token in seen["tokens"])
