"""The way of a token as a whole: development IAM, hub, a Lab that keeps the file, the XCache.

All are the real programs in processes of their own; `Chain.file` is what readers read.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from af_hub.embedded.files import write_atomically
from testbed.iam_hub import Hub, start_hub
from testbed.reading import TESTS
from testbed.xrootd import Stack, started_stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LAB = """
import sys
from testbed.wall_clock import follow
follow(sys.argv.pop(1))
from jupyter_server.serverapp import main
main()
"""


@dataclass
class Chain:
    """The running programs.

    Parameters
    ----------
    hub
        With ``hub.iam``.
    stack
        With the cache, which believes that IAM.
    file
        The bearer-token file that the Lab keeps.
    clock
        How many seconds the wall clocks of the Lab and of the readers are ahead; see
        `testbed.wall_clock`.
    log
        What the Lab has written.
    """

    hub: Hub
    stack: Stack
    file: Path
    clock: Path
    log: Path

    def restart_hub(self, away: float) -> None:
        """Kill the hub; it is back after some seconds."""
        self.hub.process.send_signal(signal.SIGKILL)
        self.hub.process.wait()
        time.sleep(away)  # the outage
        self.hub.start()

    def stop_iam(self, away: float) -> None:
        """Stop the IAM for some seconds."""
        self.hub.iam.stop()
        time.sleep(away)  # the outage
        self.hub.iam.start()


@contextmanager
def token_chain(folder: Path, life: int) -> Iterator[Chain]:
    """Start all of it for alice; tokens live for `life` seconds."""
    hub = start_hub(folder, client={"access_token_seconds": life})
    try:
        with started_stack(hub.iam.layout.root, iam=hub.iam.issuer) as stack:
            set_audience(hub, stack.audience)
            browser, _ = hub.log_in("alice")
            token = hub.start_server(browser, "alice")
            with _lab(folder / "lab", hub, stack, token) as chain:
                yield chain
    finally:
        hub.stop()
        hub.iam.stop()


def set_audience(hub: Hub, audience: str) -> None:
    """Let the hub's tokens be for the cache, whose audience is known only now."""
    file = hub.root / "settings.json"
    settings = json.loads(file.read_text())
    settings["authenticator"]["token_audiences"]["storage"]["audience"] = audience
    write_atomically(file, json.dumps(settings))
    hub.stop()
    hub.start()


@contextmanager
def _lab(folder: Path, hub: Hub, stack: Stack, token: str) -> Iterator[Chain]:
    """Run a Lab that keeps the token file."""
    folder.mkdir()
    chain = Chain(hub, stack, folder / "bearer-token", folder / "clock", folder / "log")
    door = {"name": "cache", "url": stack.url("/store"), "audience": "storage"}
    (folder / "config.py").write_text(
        "c.ServerApp.jpserver_extensions = {'af_labextension': True}\n"
        f"c.FacilityExtension.storage_doors = [{door!r}]\n"
    )
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": TESTS,
        "JUPYTERHUB_API_TOKEN": token,
        "AF_HUB_API": f"{hub.url}/hub/api/af",
        "BEARER_TOKEN_FILE": str(chain.file),
    }
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0"]
    with chain.log.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", _LAB, str(chain.clock), *options, "--config=config.py"],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + 60
        while not chain.file.exists():
            assert process.poll() is None, chain.log.read_text()
            assert time.monotonic() < deadline, chain.log.read_text()
            time.sleep(0.1)
        yield chain
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
