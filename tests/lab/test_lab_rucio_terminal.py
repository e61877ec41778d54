"""``rucio`` in a terminal: the real client, with nothing but what the Lab has written."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest_asyncio

from testbed.lab_rucio import rucio_config
from testbed.webdav import GOOD

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from testbed.lab_rucio import RucioHub
    from testbed.lab_server import LabServer, StartLab
    from testbed.rucio import RucioServer

RUCIO = Path(sys.executable).with_name("rucio")


class Terminal:
    """A user's terminal in a running Lab.

    Parameters
    ----------
    folder
        Holds the runtime folder and the home.
    """

    lab: LabServer

    def __init__(self, folder: Path) -> None:
        self.home, runtime = folder / "user", folder / "run"
        self.config, self.tokens = runtime / "rucio.cfg", runtime / "tokens"
        self.bearer = runtime / "bearer-token"
        self.home.mkdir()

    @property
    def environment(self) -> dict[str, str]:
        """What a spawner gives to a Lab, as far as Rucio's client looks at it."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "TMPDIR": str(self.home),
            "BEARER_TOKEN_FILE": str(self.bearer),
            "AF_TOKEN_DIR": str(self.tokens),
            "RUCIO_CONFIG": str(self.config),
            "X509_CERT_DIR": "/no/such/folder",
        }

    async def run(self, *arguments: str) -> tuple[int, str]:
        """Run ``rucio``, with a standard input on which nobody ever types."""
        process = await asyncio.create_subprocess_exec(
            RUCIO,
            *arguments,
            env=self.environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(30):
                output = await process.stdout.read()
                return await process.wait(), output.decode()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def ready(self) -> None:
        """Wait until the Lab has written its files."""
        async with asyncio.timeout(20):
            files = [self.config, self.bearer, self.tokens / "rucio"]
            while not all(file.exists() for file in files):  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.02)


@pytest_asyncio.fixture
async def terminal(
    rucio_hub: RucioHub, start_lab: StartLab, rucio_server: RucioServer, tmp_path: Path
) -> Callable[[str], Awaitable[Terminal]]:
    """Give a function that starts a Lab with a token for Rucio, and opens a terminal in it."""

    async def start(token: str) -> Terminal:
        opened = Terminal(tmp_path)
        rucio_hub.config = rucio_config(rucio_server.url)
        rucio_hub.by_audience.update(rucio=[token], storage=[GOOD])
        opened.lab = await start_lab(
            rucio_hub,
            bearer_token_file=str(opened.bearer),
            audience_token_folder=str(opened.tokens),
            rucio_config_file=str(opened.config),
        )
        await opened.ready()
        return opened

    return start


async def test_the_client_works_at_once(
    terminal: Callable[[str], Awaitable[Terminal]], rucio_server: RucioServer
) -> None:
    opened = await terminal(rucio_server.token("alice"))
    status = json.loads((await opened.lab.fetch("af/status")).body)
    assert {token["audience"]: token["state"] for token in status["tokens"]} == {
        "storage": "valid",
        "rucio": "valid",
    }
    # the storage's token is where the client would look first
    assert opened.bearer.read_text() == GOOD
    commands = {
        ("whoami",): "alice@",
        ("did", "content", "list", "cms:/ZMuMu/Simulated/CONTAINER"): "BLOCK-1",
        ("list-files", "cms:/ZMuMu/Simulated/BLOCK-1"): "/store/cms/zmumu/zmumu_0.root",
        ("replica", "list", "file", "cms:/store/cms/zmumu/zmumu_0.root"): "root://localhost:1094/",
    }
    answers = await asyncio.gather(*(opened.run(*command) for command in commands))
    for (status, output), expected in zip(answers, commands.values(), strict=True):
        assert status == 0, output
        assert expected in output
    assert list(opened.home.iterdir()) == []


async def test_the_client_fails_at_once_and_writes_nothing_when_the_token_is_refused(
    terminal: Callable[[str], Awaitable[Terminal]],
) -> None:
    opened = await terminal("an-expired-token")
    # its exit status is 0 all the same
    _, output = await opened.run("whoami")
    assert "Cannot authenticate to account alice" in output
    assert (opened.tokens / "rucio").read_text() == "an-expired-token"
    assert sorted(path.name for path in opened.tokens.iterdir()) == ["rucio", "storage"]
    assert list(opened.home.iterdir()) == []


async def test_the_client_fails_at_once_when_there_is_no_token(
    terminal: Callable[[str], Awaitable[Terminal]], rucio_server: RucioServer
) -> None:
    opened = await terminal(rucio_server.token("alice"))
    (opened.tokens / "rucio").unlink()
    # its exit status is 0 all the same
    _, output = await opened.run("whoami")
    assert "Cannot authenticate" in output


async def test_the_reason_for_the_odd_type_of_login_still_stands(
    terminal: Callable[[str], Awaitable[Terminal]], rucio_server: RucioServer
) -> None:
    # what happens with the type that its name suggests: the storage's token goes to Rucio
    opened = await terminal(rucio_server.token("alice"))
    text = opened.config.read_text()
    opened.config.write_text(text.replace("auth_type = userpass", "auth_type = oidc"))
    _, output = await opened.run("whoami")
    assert "alice@" not in output, "Rucio's client reads auth_token_file_path first now: use oidc"
