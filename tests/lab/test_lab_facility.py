"""A Lab of a whole facility: programs of its terminal, its secrets, and other users.

Nobody else of the suite logs in to the shared facility as bob.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from testbed.clusters import Clusters
from testbed.facility import wait_for
from testbed.lab_routes import CHANGING, questions, refused
from testbed.lab_terminal import Terminal, run_in_kernel
from testbed.planted import claims, planted, signature, text_of
from testbed.require import require

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.facility import Facility, User
    from testbed.lab_server import StartLab

SAMPLE = "cms/zmumu/zmumu_0.root"


@pytest.fixture(scope="module")
def bob(facility: Facility) -> Iterator[User]:
    """Give Bob with a running Lab whose socket listens."""
    user = facility.log_in("bob")
    user.start_server()
    wait_for(Path(Terminal(user).environment["OIDC_SOCK"]).is_socket, "the socket")
    yield user
    user.stop_server()


@pytest.fixture(scope="module")
def terminal(bob: User) -> Terminal:
    return Terminal(bob)


def door(bob: User, name: str) -> str:
    """Return the address of a door as the Lab shows it."""
    doors = {each["name"]: each["url"] for each in bob.lab("af/storage").json["doors"]}
    require("xrootd", name in doors, f"the facility runs without {name}")
    return str(doors[name])


# --- programs ------------------------------------------------------------------


def test_rclone_lists_and_copies_when_its_tokens_come_from_the_agent(
    bob: User, terminal: Terminal
) -> None:
    require("rclone", shutil.which("rclone"), "rclone is not installed")
    require("oidc-agent", shutil.which("oidc-token"), "oidc-token is not installed")
    home = Path(terminal.environment["HOME"])
    # as rclone's documents have it for oidc-agent
    terminal.run(
        *("rclone", "config", "create", "store", "webdav", f"url={door(bob, 'demo')}"),
        *("vendor=other", "bearer_token_command=oidc-token af"),
    )
    assert "zmumu/" in terminal.run("rclone", "lsf", "store:cms").splitlines()
    terminal.run("rclone", "copy", f"store:{SAMPLE}", "copied")
    original = bob.facility.layout.store / SAMPLE
    assert (home / "copied" / original.name).read_bytes() == original.read_bytes()
    assert "eyJ" not in text_of(home / ".config" / "rclone" / "rclone.conf")


def test_xrdcp_copies_when_the_environment_names_the_token_file(
    bob: User, terminal: Terminal
) -> None:
    require("xrootd", shutil.which("xrdcp"), "xrdcp is not installed")
    home = Path(terminal.environment["HOME"])
    terminal.run("xrdcp", "--nopbar", f"{door(bob, 'cache')}/{SAMPLE}", "by-xrootd.root")
    original = bob.facility.layout.store / SAMPLE
    assert (home / "by-xrootd.root").read_bytes() == original.read_bytes()


def test_token_is_the_users_own_and_for_the_storage_when_a_terminal_asks(
    terminal: Terminal,
) -> None:
    require("oidc-agent", shutil.which("oidc-token"), "oidc-token is not installed")
    given = claims(terminal.run("oidc-token", "af"))
    assert given["aud"] == claims(text_of(Path(terminal.environment["BEARER_TOKEN_FILE"])))["aud"]
    assert "offline_access" not in given["scope"].split()


# --- secrets -------------------------------------------------------------------

NOTEBOOK = """
import os, pathlib, subprocess
for name, value in os.environ.items():
    print(name, value)
runtime = pathlib.Path(os.environ["XDG_RUNTIME_DIR"])
print(*sorted(str(path) for path in runtime.rglob("*")), sep="\\n")
print(len(pathlib.Path(os.environ["BEARER_TOKEN_FILE"]).read_text()))
print(subprocess.run(["oidc-add", "--loaded"], capture_output=True, text=True).stdout)
"""


def notebook(code: str, printed: str) -> dict[str, Any]:
    """Return a notebook with one cell that was run, as JupyterLab saves it."""
    output = {"output_type": "stream", "name": "stdout", "text": printed}
    cell = {
        "cell_type": "code",
        "id": "one",
        "metadata": {},
        "execution_count": 1,
        "source": code,
        "outputs": [output],
    }
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}


class Lab:
    """Bob's Lab as a program with a hub token of his uses it."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.token = Clusters(user).token
        self.url = f"{user.facility.base_url}/user/{user.name}"

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Make a call that must succeed; return its JSON."""
        headers = {"Authorization": f"token {self.token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        answer = self.user.browser.call(method, f"{self.url}/{path}", data, headers)
        assert answer.status < 300, answer.text
        return json.loads(answer.text or "null")

    @contextmanager
    def kernel(self) -> Iterator[str]:
        """Give the address of a running kernel."""
        made = self.call("POST", "api/kernels", {})
        try:
            yield f"{self.url.replace('http', 'ws', 1)}/api/kernels/{made['id']}"
        finally:
            self.call("DELETE", f"api/kernels/{made['id']}")


def places_of(facility: Facility, terminal: Terminal) -> dict[str, str]:
    """Return everything that a Lab leaves or shows: files, environments, commands, logs."""
    found = {"logs": facility.logs(), "output": facility.text()}
    for pid in facility.processes:
        for kind in ("environ", "cmdline"):
            found[f"{kind} of {pid}"] = text_of(Path(f"/proc/{pid}/{kind}"))
    for root in (terminal.environment["HOME"], terminal.environment["XDG_RUNTIME_DIR"]):
        for path in Path(root).rglob("*"):
            if path.is_file():
                found[str(path)] = text_of(path)
    return found


def seen_in(places: dict[str, str], value: str) -> list[str]:
    """Return where a secret is."""
    return [place for place, text in places.items() if value in text]


async def test_login_is_nowhere_in_the_lab_when_everything_was_used(
    facility: Facility, bob: User, terminal: Terminal
) -> None:
    lab = Lab(bob)
    searched = {f"{name} before": value for name, value in planted(facility, bob).items()}
    runtime = terminal.environment["XDG_RUNTIME_DIR"]
    with lab.kernel() as kernel:
        printed = await run_in_kernel(kernel, lab.token, NOTEBOOK)
        assert f"XDG_RUNTIME_DIR {runtime}" in printed
        saved = {"type": "notebook", "content": notebook(NOTEBOOK, printed)}
        lab.call("PUT", "api/contents/tokens.ipynb", saved)
        assert lab.call("GET", "af/status")["tokens"][0]["state"] == "valid"
        assert lab.call("POST", "af/renew")["tokens"][0]["state"] == "valid"
        assert bob.lab("af/storage/demo/list?path=/cms").status == 200
        if shutil.which("oidc-token"):
            terminal.run("oidc-token", "af")
            terminal.run("oidc-token", "--scope=storage.read:/store/cms", "--time=120", "af")
        places = places_of(facility, terminal)
        kernels = [child.pid for child in terminal.server.children(recursive=True)]
        assert any(f"environ of {pid}" in places for pid in kernels)
    searched |= planted(facility, bob)
    bearer = terminal.environment["BEARER_TOKEN_FILE"]
    # the search is not blind: what has to be there is found
    assert seen_in(places, signature(text_of(Path(bearer))))
    assert seen_in(places, "XDG_RUNTIME_DIR")
    assert any(place.endswith("tokens.ipynb") for place in places)
    for name, value in searched.items():
        assert seen_in(places, value) == [], name
    for place, text in places.items():
        if not place.startswith(runtime):
            assert not re.search(r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.", text), f"a JWT is in {place}"


def test_kept_tokens_are_short_and_closed_when_others_look(terminal: Terminal) -> None:
    runtime = Path(terminal.environment["XDG_RUNTIME_DIR"])
    assert stat.S_IMODE(runtime.stat().st_mode) == 0o700
    tokens = [Path(terminal.environment["BEARER_TOKEN_FILE"])]
    tokens += Path(terminal.environment["AF_TOKEN_DIR"]).iterdir()
    for path in tokens:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        given = claims(text_of(path))
        assert given["exp"] - given["iat"] <= 3600
        assert "offline_access" not in given["scope"].split()


# --- others --------------------------------------------------------------------

STRANGER = """
import socket, sys
stranger = socket.socket(socket.AF_UNIX)
stranger.settimeout(10)
try:
    stranger.connect(sys.argv[1])
    stranger.sendall(b"A" * 43 + b"=")
    print("answer", stranger.recv(100))
except OSError as error:
    print(type(error).__name__)
"""


def as_stranger(held: Path, name: str) -> str:
    """Connect as another system user to `name`, from a folder or socket that is already open."""
    descriptor = os.open(held, os.O_PATH)
    try:
        done = subprocess.run(
            [
                *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
                *("/usr/bin/python3", "-c", STRANGER, f"/proc/self/fd/{descriptor}{name}"),
            ],
            pass_fds=[descriptor],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    finally:
        os.close(descriptor)
    return done.stdout.strip()


def test_another_user_of_the_machine_cannot_connect_to_the_running_labs_socket(
    terminal: Terminal,
) -> None:
    require("root", os.geteuid() == 0, "only root can act as another user")
    socket = Path(terminal.environment["OIDC_SOCK"])
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    # each of three protections for itself: the folder, the socket's mode, the kernel's word
    assert as_stranger(socket.parent, f"/{socket.name}") == "PermissionError"
    assert as_stranger(socket, "") == "PermissionError"
    socket.chmod(0o666)
    try:
        answer = as_stranger(socket, "")
    finally:
        socket.chmod(0o600)
    assert answer in {"answer b''", "BrokenPipeError", "ConnectionResetError"}
    if shutil.which("oidc-add"):
        assert "af" in terminal.run("oidc-add", "--loaded").split()


async def test_every_route_of_a_lab_refuses_another_user_of_the_hub(
    facility: Facility, bob: User, start_lab: StartLab
) -> None:
    routes = list(questions(await start_lab(None)))
    assert ("POST", "af/renew") in routes
    carol = await asyncio.to_thread(facility.log_in, "carol")
    made = carol.api("POST", "users/carol/tokens", b"{}")
    bearer = {"Authorization": f"token {made.json['token']}"}
    xsrf = next(c.value for c in carol.browser.jar if c.name == "_xsrf") or ""
    cookies = {"X-XSRFToken": xsrf, "Sec-Fetch-Mode": "same-origin", "Referer": bob_url(bob)}
    for method, path in routes:
        for browser, headers in (
            (carol.browser, cookies),
            (type(carol.browser)(facility.layout.ca_bundle), bearer),
            (type(carol.browser)(facility.layout.ca_bundle), {}),
        ):
            answer = browser.call(method, f"{bob_url(bob)}{path}", None, headers)
            assert answer.status in refused(path), f"{method} {path} {answer.status} {answer.text}"


async def test_every_changing_route_of_a_lab_refuses_bobs_browser_when_the_xsrf_token_is_wrong(
    bob: User, start_lab: StartLab
) -> None:
    bob.lab("lab")  # the Lab's own cookies
    asked = list(questions(await start_lab(None), *CHANGING))
    for method, path in asked:
        for wrong in ({"X-XSRFToken": "wrong"}, {}):
            headers = {**wrong, "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "cross-site"}
            answer = bob.browser.call(method, f"{bob_url(bob)}{path}", None, headers)
            assert answer.status == 403, f"{method} {path} {answer.status} {answer.text}"
            assert "xsrf" in answer.text.lower(), f"{method} {path} {answer.text}"


def bob_url(bob: User) -> str:
    """Return the address of Bob's Lab, with a slash at the end."""
    return f"{bob.facility.base_url}/user/{bob.name}/"


def test_python_in_a_terminal_finds_the_token_when_it_asks_the_package(terminal: Terminal) -> None:
    code = "from af_labextension import token; print(token('storage'))"
    printed = terminal.run(sys.executable, "-c", code)
    assert claims(printed)["aud"]
