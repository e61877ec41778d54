"""``analysis-facility iam``: the development IAM as a command of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from af_hub.cli import WRONG_INPUT, main
from af_hub.embedded.iam.people import DEMO_PEOPLE
from af_hub.embedded.layout import Layout
from testbed.iam import Browser, free_ports, start_iam

if TYPE_CHECKING:
    from pathlib import Path


def test_issuer_users_and_a_client_are_shown_and_work(tmp_path: Path) -> None:
    port, login_port = free_ports(2)
    callback = "http://127.0.0.1:9/cb"
    options = [f"--port={port}", f"--login-port={login_port}", f"--data={tmp_path}"]
    options += [f"--redirect-uri={callback}", "--profile=kc", "--access-token-seconds=600"]
    options += ["--policy=Behave.", "--client-id=mine"]
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig=TERM", sys.executable, "-m", "af_hub.cli", "iam", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={name: os.environ[name] for name in ("PATH", "HOME")},
    )
    assert process.stdout is not None
    shown = ""
    try:
        while not shown.rpartition("\n\n")[2].startswith("Ready:"):
            line = process.stdout.readline()
            assert line, shown
            shown += line
        for person in DEMO_PEOPLE:
            assert person.username in shown
        assert f"https://127.0.0.1:{port}/\n" in shown
        layout = Layout(tmp_path)
        secret = layout.secret("hub-client-secret").read_text().strip()
        assert secret not in shown
        assert str(layout.secret("hub-client-secret")) in shown
        browser = Browser(layout.ca_bundle)
        page = browser.send(
            f"http://127.0.0.1:{login_port}/authorize?response_type=code&client_id=mine"
            f"&scope=openid&redirect_uri={callback}"
        )
        sign = browser.follow(browser.log_in(page, "alice"))
        assert "Behave." in sign.text
        done = browser.follow(browser.press(sign, "Sign"), until=callback)
        form = {
            "grant_type": "authorization_code",
            "code": done.location.partition("code=")[2].partition("&")[0],
            "redirect_uri": callback,
            "client_id": "mine",
            "client_secret": secret,
        }
        answer = browser.send(f"https://127.0.0.1:{port}/token", form).json
        assert answer["expires_in"] == 600
        assert not list(tmp_path.rglob("calls.jsonl"))  # nothing can be switched in it
    finally:
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        assert process.wait(20) == 0
        process.stdout.close()
    assert time.monotonic() - begun < 15


def test_it_fails_on_request_when_it_has_switches(tmp_path: Path) -> None:
    port, login_port = free_ports(2)
    folder = tmp_path / "switches"
    options = [f"--port={port}", f"--login-port={login_port}", f"--data={tmp_path / 'data'}"]
    options += [f"--switches={folder}"]
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig=TERM", sys.executable, "-m", "af_hub.cli", "iam", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={name: os.environ[name] for name in ("PATH", "HOME")},
    )
    assert process.stdout is not None
    try:
        shown = ""
        while not shown.rpartition("\n\n")[2].startswith("Ready:"):
            line = process.stdout.readline()
            assert line, shown
            shown += line
        assert str(folder / "switches.json") in shown
        browser = Browser(Layout(tmp_path / "data").ca_bundle)
        address = f"https://127.0.0.1:{port}/jwk"
        assert browser.send(address).status == 200
        wanted = '{"faults": [{"at": "jwk", "status": 502}]}'
        (folder / "switches.json").write_text(wanted)
        assert browser.send(address).status == 502
        assert len((folder / "calls.jsonl").read_text().splitlines()) == 2
    finally:
        process.terminate()
        assert process.wait(20) == 0
        process.stdout.close()


def test_sentence_names_the_option_when_a_port_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (free,) = free_ports(1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = ["iam", "--data", str(tmp_path), "--port", str(free), "--login-port", str(port)]
        assert main(command) == 1
    assert "--login-port" in capsys.readouterr().err


def test_process_ends_when_its_second_door_cannot_be_opened(tmp_path: Path) -> None:
    iam = start_iam(tmp_path)
    try:
        (free,) = free_ports(1)
        config = iam.config.model_copy(update={"https_port": free})  # its login port is taken
        path = tmp_path / "second.json"
        path.write_text(config.model_dump_json())
        command = [sys.executable, "-m", "af_hub.embedded.iam", "--config", str(path)]
        # a thread of the first door must not keep it alive
        ended = subprocess.run(command, timeout=30, capture_output=True, check=False)
        assert ended.returncode == 1
    finally:
        iam.stop()


def test_lifetime_is_refused_when_it_is_no_number_of_seconds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["iam", "--access-token-seconds", "0"])
    assert stopped.value.code == WRONG_INPUT
    assert "1 to 86400" in capsys.readouterr().err
