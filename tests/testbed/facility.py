"""The real command: ``analysis-facility run`` as a person starts it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from af_hub.embedded.guard import find_processes, sweep
from af_hub.embedded.layout import Layout
from testbed.iam import Answer, Browser, free_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

PATIENCE = 90.0
"""Seconds for anything that should take a few."""


def wait_for(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Return the condition's value as soon as it is true; nobody listening means not yet."""
    deadline = time.monotonic() + patience
    while True:
        with suppress(OSError):
            if value := condition():
                return value
        assert time.monotonic() < deadline, f"waited {patience:.0f} s for {what}"
        time.sleep(0.05)


def living(pids: Iterable[int]) -> set[int]:
    """Return the processes that still run; an orphan may stay as a zombie, which does nothing."""
    found = set()
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.add(pid)
    return found


def command(*arguments: str) -> list[str]:
    """Return the command line of ``analysis-facility`` in this environment."""
    return [sys.executable, "-m", "af_hub.cli", *arguments]


@dataclass
class Facility:
    """A facility that was started by its command.

    ``output`` is what it has written to the terminal so far.
    """

    data: Path
    port: int
    process: subprocess.Popen[str]
    host: str = "127.0.0.1"
    output: list[str] = field(default_factory=list)

    @property
    def layout(self) -> Layout:
        """Paths below the data folder."""
        return Layout(self.data)

    @property
    def base_url(self) -> str:
        """Address that a user opens."""
        return f"http://{self.host}:{self.port}"

    @property
    def instance(self) -> str:
        """Mark of its processes."""
        return (self.layout.state / "instance").read_text().strip()

    @property
    def processes(self) -> set[int]:
        """Ids of all its processes but the parent."""
        return find_processes(self.instance)

    def pid(self, part: str) -> int:
        """Return the process id of a part, found by its command line."""
        signs = {
            "hub": "jupyterhub\0--config",
            "proxy": "start.js",
            "storage": "af_hub.embedded.storage",
            "network": "af_hub.embedded.network\0--config",
            "xrootd-origin": "/xrootd/origin/server.json",
            "xcache": "/xrootd/cache/server.json",
            "iam": "af_hub.embedded.iam",
            "gateway": "dask_gateway_server\0-f",
            "gateway-proxy": "dask-gateway-proxy",
            "guard": "af_hub.embedded.guard",
            "rucio": "-m\0af_rucio",
        }

        def search() -> int | None:
            for pid in sorted(self.processes):  # a part before its children
                try:
                    line = Path(f"/proc/{pid}/cmdline").read_text()
                except OSError:
                    continue
                if signs[part] in line:
                    return pid
            return None

        found = wait_for(search, f"the process of {part}")
        assert isinstance(found, int)
        return found

    def text(self) -> str:
        """Return the whole output so far."""
        return "".join(self.output)

    def logs(self) -> str:
        """Return all logs, for messages of failed tests and to search for secrets."""
        return "\n".join(
            f"== {path.name}\n{path.read_text(errors='replace')}"
            for path in sorted(self.layout.logs.iterdir())
        )

    def wait_until_ready(self) -> None:
        """Wait for the line that begins with ``Ready:``."""

        def ready() -> bool:
            assert self.process.poll() is None or "Ready:" in self.text(), self.text()
            return "Ready:" in self.text()

        wait_for(ready, "the facility", PATIENCE)

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal to the parent and wait for its end."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def log_in(self, username: str) -> User:
        """Log in by HTTP as a browser would, and return the session."""
        user = User(self, username, HubBrowser(self.layout.ca_bundle))
        user.log_in()
        return user


class HubBrowser(Browser):
    """A browser whose pages call REST interfaces, as the hub's own scripts do."""

    def call(self, method: str, url: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        """Make one REST call; no status raises."""
        request = urllib.request.Request(url, body, headers, method=method)
        try:
            with self._opener.open(request, timeout=30) as answer:
                return Answer(answer.status, answer.headers, answer.read().decode(), url)
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read().decode(), url)


@dataclass
class User:
    """A logged-in demo user with the cookies of a browser."""

    facility: Facility
    name: str
    browser: HubBrowser

    def log_in(self) -> None:
        """Go through the hub's and IAM's pages until the hub lets the user in."""
        home = f"{self.facility.base_url}/hub/home"
        page = self.browser.follow(self.browser.send(home))
        if 'name="form"' not in page.text:  # the hub's own page with a button
            page = self.browser.follow(
                self.browser.send(f"{self.facility.base_url}/hub/oauth_login?next=%2Fhub%2Fhome")
            )
        landed = self.browser.follow(self.browser.log_in(page, self.name))
        assert landed.status == 200, f"{landed.url}: {landed.text[:2000]}"
        assert landed.url.startswith(self.facility.base_url), landed.url

    def api(self, method: str, path: str, body: bytes | None = None) -> Answer:
        """Call the hub's REST API with the browser's cookies, as its own pages do."""
        xsrf = next((c.value for c in self.browser.jar if c.name == "_xsrf"), "") or ""
        headers = {
            "X-XSRFToken": xsrf,
            "Referer": f"{self.facility.base_url}/hub/home",
            "Sec-Fetch-Mode": "same-origin",
            "Content-Type": "application/json",
        }
        url = f"{self.facility.base_url}/hub/api/{path}"
        return self.browser.call(method, url, body, headers)

    def start_server(self, profile: str = "small") -> None:
        """Start the user's Lab and wait until it answers; one that another test left is stopped."""
        if self.server() is not None:
            self.stop_server()
        body = f'{{"profile": "{profile}"}}'.encode()
        answer = self.api("POST", f"users/{self.name}/server", body)
        assert answer.status in {201, 202}, f"{answer.status} {answer.text}"
        wait_for(self.server_answers, f"the Lab of {self.name}")

    def stop_server(self) -> None:
        """Stop the user's Lab and wait until it has ended."""
        answer = self.api("DELETE", f"users/{self.name}/server")
        assert answer.status in {202, 204}, f"{answer.status} {answer.text}"
        wait_for(lambda: self.server() is None, f"the end of the Lab of {self.name}")

    def server(self) -> dict[str, Any] | None:
        """Return what the hub knows about the user's server, None if there is none."""
        servers = self.api("GET", f"users/{self.name}").json.get("servers", {})
        found: dict[str, Any] | None = servers.get("")
        return found

    def server_answers(self) -> bool:
        """Tell whether the Lab answers the logged-in user."""
        server = self.server()
        # the page first: only pages go through the hub's OAuth, REST calls want its cookie
        return (
            bool(server and server["ready"])
            and self.lab("lab").status == 200
            and self.lab("api/status").status == 200
        )

    def lab(self, path: str) -> Answer:
        """GET a path of the user's Lab."""
        url = f"{self.facility.base_url}/user/{self.name}/{path}"
        return self.browser.follow(self.browser.send(url))


def start_facility(data: Path, *, port: int = 0, host: str = "127.0.0.1") -> Facility:
    """Start the command without waiting for it; the caller stops it."""
    chosen = port or free_ports(1)[0]
    arguments = () if host == "127.0.0.1" else ("--host", host, "--allow-public-demo")
    # a session of its own: signals of the test runner's terminal are the tests' business
    program = command("run", "--data", str(data), "--port", str(chosen), *arguments)
    process = subprocess.Popen(
        # a shell's background jobs, and what they start, ignore SIGINT; a person's terminal does not
        ["env", "--default-signal=INT", *program],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={name: each for name, each in os.environ.items() if name != "AF_INSTANCE"},
    )
    facility = Facility(data, chosen, process, host)

    def read() -> None:
        assert process.stdout is not None
        with process.stdout as stream:
            for line in stream:
                facility.output.append(line)

    threading.Thread(target=read, daemon=True).start()
    return facility


@contextmanager
def running_facility(data: Path, *, port: int = 0, host: str = "127.0.0.1") -> Iterator[Facility]:
    """Give a facility that is ready; nothing of it is left afterwards, whatever happens."""
    facility = start_facility(data, port=port, host=host)
    try:
        facility.wait_until_ready()
        yield facility
    finally:
        if facility.process.poll() is None:
            facility.process.kill()
            facility.process.wait()
        mark = facility.layout.state / "instance"
        if mark.exists() and re.fullmatch(r"[0-9a-f]{16}", mark.read_text().strip()):
            sweep(mark.read_text().strip(), grace=2)


@pytest.fixture(scope="session")
def facility(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facility]:
    """Give a facility that all tests share: kill none of its parts."""
    with running_facility(tmp_path_factory.mktemp("facility") / "data") as running:
        yield running
