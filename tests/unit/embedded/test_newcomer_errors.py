"""The errors that a newcomer meets: one sentence with the next step, never a traceback."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from af_hub.embedded import setup
from af_hub.embedded.instance import instance_id, instance_lock
from af_hub.embedded.layout import Layout
from af_hub.embedded.ports import own_addresses
from af_hub.embedded.secrets import create_secrets
from af_hub.errors import SetupError
from testbed.facility import command, living, start_facility, wait_for
from testbed.iam import free_ports
from testbed.small_disk import small_disk

if TYPE_CHECKING:
    from pathlib import Path


def run(*arguments: str) -> tuple[int, str]:
    """Run the command; return its exit code and everything it says."""
    done = subprocess.run(
        command(*arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stdout
    return done.returncode, done.stdout


def test_port_is_named_when_it_is_taken(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, text = run("run", "--data", str(tmp_path / "data"), "--port", str(port))
    assert code == 1
    assert f"Port {port} of 127.0.0.1 is taken" in text
    assert re.search(r"--port [0-9]+ \[port-taken\]", text)


def test_address_is_refused_when_it_would_let_others_in(tmp_path: Path) -> None:
    for host in ("::", "192.0.2.77", "example.org"):
        code, text = run("run", "--data", str(tmp_path / "data"), "--host", host)
        assert code == 1
        assert "--allow-public-demo" in text
        assert "[public-demo]" in text
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "0"])  # noqa: S104
def test_one_address_is_asked_for_when_every_address_is_given(tmp_path: Path, host: str) -> None:
    arguments = ("--host", host, "--allow-public-demo")
    code, text = run("run", "--data", str(tmp_path / "data"), *arguments)
    assert code == 1
    assert "logins need the one that browsers open: --host " in text
    assert all(f"--host {address}" in text for address in own_addresses())
    assert "[host-needed]" in text


def test_address_is_named_when_this_machine_has_it_not(tmp_path: Path) -> None:
    arguments = ("--host", "198.51.100.7", "--allow-public-demo")
    code, text = run("run", "--data", str(tmp_path / "data"), *arguments)
    assert code == 1
    assert "[host-unknown]" in text


def test_folder_is_named_when_it_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, text = run("run", "--data", str(tmp_path / "file" / "data"))
    assert code == 1
    assert f"{tmp_path}/file/data cannot be written" in text
    assert "--data DIR" in text


def test_disk_is_named_when_it_is_full(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with small_disk(tmp_path / "small") as folder:
        code, text = run("run", "--data", str(folder / "data"), "--port", str(port))
    assert code == 1
    assert f"The disk that holds {folder}/data is full" in text
    assert "[disk-full]" in text


def test_key_is_named_when_the_facility_file_does_not_know_it(tmp_path: Path) -> None:
    path = tmp_path / "facility.yaml"
    path.write_text("about: {nam: x}\nprofile: []\n")
    (port,) = free_ports(1)
    checked, text = run("check", str(path))
    assert checked == 2
    assert "nam" in text
    assert "name" in text
    assert "profiles" in text
    arguments = ("--facility", str(path), "--port", str(port))
    started, text = run("run", "--data", str(tmp_path / "data"), *arguments)
    assert started == 2
    assert "profiles" in text


def test_file_is_named_when_it_is_not_there(tmp_path: Path) -> None:
    code, text = run("check", str(tmp_path / "none.yaml"))
    assert code in {1, 2}
    assert "none.yaml" in text


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "٣٣"])
def test_port_is_refused_when_it_is_no_port(port: str) -> None:
    code, text = run("run", f"--port={port}")
    assert code == 2
    assert "is not a port" in text


def test_node_is_asked_for_when_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = " ".join(setup.missing_programs())
    assert "Node.js is missing" in missing
    assert "apt install nodejs npm" in missing
    assert "npm is missing" in missing


@pytest.mark.parametrize(
    ("version", "fits"),
    [("v18.19.0", False), ("v9.0.0", False), ("v20.0.0", True), ("v24.1.0", True), ("", False)],
)
def test_node_is_judged_by_version_when_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, fits: bool
) -> None:
    for name in ("node", "npm"):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho '{version}'\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    problems = setup.missing_programs()
    assert (problems == []) == fits
    assert fits or "Node.js is too old" in problems[0]


def test_proxy_is_installed_once_when_asked_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    said: list[str] = []
    setup.install_proxy(said.append)
    setup.install_proxy(said.append)
    assert said == ["Installing configurable-http-proxy"]
    assert list((tmp_path / "analysis-facility").glob("proxy-*/node_modules/*http-proxy"))
    assert list((tmp_path / "analysis-facility").glob(".proxy-*")) == []


SLOW_NPM = """#!/bin/sh
echo $$ >> "$XDG_CACHE_HOME/pids"
sleep 600 &
echo $! >> "$XDG_CACHE_HOME/pids"
sh -c 'trap "" TERM; echo $$ >> "$XDG_CACHE_HOME/pids"; sleep 600; sleep 600' &
wait
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_npm_ends_with_all_it_started_when_the_first_setup_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(SLOW_NPM)
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{npm.parent}:{os.environ['PATH']}")
    # nothing is in this cache: the proxy has to be installed
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    facility = start_facility(tmp_path / "data")
    started = tmp_path / "pids"
    wait_for(lambda: started.exists() and len(started.read_text().split()) == 3, "npm")
    pids = {int(pid) for pid in started.read_text().split()}
    assert living(pids) == pids
    assert facility.stop(number) == 130
    assert "Traceback" not in facility.text()
    assert living(pids) == set()
    assert not list((tmp_path / "analysis-facility").iterdir())


def test_lock_of_the_proxy_names_no_registry() -> None:
    from af_hub.embedded.proxy import SOURCE

    assert '"resolved"' not in (SOURCE / "package-lock.json").read_text()


def test_holder_is_named_when_the_data_folder_is_in_use(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data")
    layout.create()
    with (
        instance_lock(layout),
        pytest.raises(SetupError, match=f"in use by pid {os.getpid()}"),
        instance_lock(layout),
    ):
        pass
    with instance_lock(layout):
        pass


def test_instance_id_stays_when_asked_again_and_is_new_when_damaged(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data")
    layout.create()
    first = instance_id(layout)
    assert instance_id(layout) == first
    # an id that is a part of nothing: it chooses the processes that are ended
    (layout.state / "instance").write_text("\n")
    assert re.fullmatch("[0-9a-f]{16}", instance_id(layout))


def test_secret_is_refused_when_others_may_read_it(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data")
    layout.create()
    create_secrets(layout)
    before = layout.secret("hub-crypt-key").read_text()
    create_secrets(layout)
    assert layout.secret("hub-crypt-key").read_text() == before
    layout.secret("hub-crypt-key").chmod(0o640)
    with pytest.raises(SetupError, match="chmod 600"):
        create_secrets(layout)


def test_version_and_schema_are_printed_when_asked_for() -> None:
    code, text = run("version")
    assert code == 0
    assert re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+\S*\n", text)
    code, text = run("schema")
    assert code == 0
    assert '"$schema"' in text
