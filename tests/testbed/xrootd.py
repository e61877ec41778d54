"""XRootD origin, byte meter and XCache in an inner network, as ``analysis-facility run`` has them.

Take the fixture `xrootd_stack` (one for all tests; leave it as you found it: every part running,
meter without delay) or make one with `started_stack(folder)` when a test has to break things.

What it offers:

- ``stack.write("/store/cms/a.bin", b"…")`` puts a file into the store of the origin;
- ``stack.token(scope, **claims)`` signs anything (`testbed.storage.Issuer`), by default for the
  cache's audience and with ``iss`` without trailing slash; ``stack.issuer`` is the issuer itself;
- ``stack.url(path)`` (root://) and ``stack.https_url(path)``: the cache as a client on the host;
- ``stack.client(*command, token=…)`` runs a program on the host with the environment of a Lab
  (``X509_CERT_DIR``, ``BEARER_TOKEN_FILE``); ``stack.client_environment(token)`` is that alone;
- ``stack.get(path, token)`` reads over https and returns status and body;
- ``stack.inside(*command, environment=…)`` runs a program in the inner network;
  ``stack.origin_url(path)`` is the origin there, ``stack.grid`` the certificates for it;
- ``stack.meter.counters()`` → `Counters` (connections, open, up, down: bytes to and from the
  origin); ``stack.meter.set(delay=0.02)`` one way in seconds, ``set(cut=True)`` refuses and breaks
  every line, ``hang_up()`` breaks them once; ``stack.meter.payload()`` is every byte that went
  towards the origin since the start of the meter;
- ``stack.log("xcache")``, ``"xrootd-origin"``, ``"network"``; ``stack.kill(name)``,
  ``stack.start(name)``, ``stack.restart(name)``, ``stack.pid(name)``; after the end of
  ``"network"`` the servers end by themselves and are started again with it.
"""

from __future__ import annotations

import os
import secrets
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from af_hub.embedded.environment import part_environment
from af_hub.embedded.guard import sweep
from af_hub.embedded.layout import Layout
from af_hub.embedded.network.part import holder_file, network_part
from af_hub.embedded.parts import Part
from af_hub.embedded.pki import ensure_pki
from af_hub.embedded.secrets import create_secrets
from af_hub.embedded.wiring import Ports
from af_hub.embedded.xrootd.availability import (
    installed_generation,
    network_problem,
    programs_problem,
)
from af_hub.embedded.xrootd.clients import write_client_authorities
from af_hub.embedded.xrootd.grid_pki import (
    GridFiles,
    ensure_grid_pki,
)
from af_hub.embedded.xrootd.part import cache_part, origin_part
from af_hub.facility import FacilityConfig, load
from af_hub.facility.default import default_facility
from testbed.iam import free_ports
from testbed.meter import Meter
from testbed.require import require
from testbed.running_parts import PATIENCE, RunningParts
from testbed.storage import Issuer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ORIGIN_PORT = 1094
METER_PORT = 1095
SERVERS = ("xrootd-origin", "xcache")


@dataclass(kw_only=True)
class Stack(RunningParts):
    """The running servers; see the module's text."""

    facility: FacilityConfig
    issuer: Issuer
    meter: Meter
    port: int
    https_port: int
    audience: str
    sent: list[str] = field(default_factory=list)
    """Every token that was made, to be searched for where none may be."""

    def url(self, path: str) -> str:
        """Return the address of a file at the cache, ``root://``."""
        return f"root://127.0.0.1:{self.port}/{path}"

    def https_url(self, path: str) -> str:
        """Return the address of a file at the cache, https."""
        return f"https://127.0.0.1:{self.https_port}{path}"

    def origin_url(self, path: str) -> str:
        """Return the address of a file at the origin, in the inner network only."""
        return f"root://localhost:{ORIGIN_PORT}/{path}"

    @property
    def grid(self) -> GridFiles:
        """Certificates of the grid kind."""
        return GridFiles.of(self.layout)

    def write(self, path: str, content: bytes) -> Path:
        """Put a file into the store; `path` begins with ``/store``."""
        target = self.layout.storage / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return target

    def token(self, scope: str = "storage.read:/store/cms", **claims: Any) -> str:
        """Return a token for the cache; see `Issuer.token`."""
        now = int(time.time())  # scitokens-cpp 0.7 refuses fractions of a second
        usual = {"aud": self.audience, "iat": now, "nbf": now - 60, "exp": now + 600}
        made = self.issuer.token(scope, **{**usual, **claims})
        self.sent.append(made)
        return made

    def token_file(self, token: str) -> Path:
        """Return a new file with a token, mode 0600."""
        path = self.layout.state / f"token-{secrets.token_hex(6)}"
        path.touch(mode=0o600)
        path.write_text(token)
        return path

    def client_environment(self, token: str | None = None) -> dict[str, str]:
        """Return the environment of a client on the host; without a token none is found."""
        kept = {name: each for name, each in os.environ.items() if "TOKEN" not in name}
        kept["X509_CERT_DIR"] = str(self.layout.certificates)
        kept["BEARER_TOKEN_FILE"] = str(self.token_file(token)) if token else "/nonexistent"
        kept["XRD_CONNECTIONRETRY"] = "1"
        return kept

    def client(
        self, *command: str, token: str | None = None, check: bool = False
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a client on the host."""
        return subprocess.run(
            command,
            env=self.client_environment(token),
            capture_output=True,
            timeout=PATIENCE,
            check=check,
        )

    def read(self, path: str, token: str | None) -> bytes:
        """Read a file with xrdcp from the cache; fails with what xrdcp says."""
        done = self.client("xrdcp", "-s", "-f", self.url(path), "-", token=token)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def get(
        self, path: str, token: str | None = None, *, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Read over https; returns status and body."""
        request = urllib.request.Request(self.https_url(path), headers=headers or {})
        if token is not None:
            request.add_header("Authorization", f"Bearer {token}")
        context = ssl.create_default_context(cafile=str(self.layout.ca_certificate))
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE, context=context) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def inside(
        self, *command: str, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a program in the inner network."""
        return subprocess.run(
            _enter(self.layout, command),
            env=part_environment(self.instance, environment),
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )

    def restart(self, name: str) -> None:
        """Stop a part as the supervisor does and start it again."""
        if name != "network":
            super().restart(name)
            return
        self.kill(name, signal.SIGTERM)
        for each in (*SERVERS, "meter"):
            self.processes[each].wait(PATIENCE)
        self.start("network", *SERVERS, "meter")


def _enter(layout: Layout, command: Sequence[str]) -> tuple[str, ...]:
    holder = str(holder_file(layout))
    return (
        sys.executable,
        "-m",
        "af_hub.embedded.network.enter",
        "--holder",
        holder,
        "--",
        *command,
    )


def _meter_part(stack: Stack) -> Part:
    meter = stack.meter
    program = str(Path(__file__).with_name("meter.py"))
    addresses = (str(METER_PORT), str(ORIGIN_PORT), str(meter.control), str(meter.record))

    async def ready() -> bool:
        try:
            meter.counters()
        except OSError:
            return False
        return True

    return Part(
        name="meter",
        title="Meter",
        command=_enter(stack.layout, (sys.executable, program, *addresses)),
        ready=ready,
    )


def require_xrootd() -> None:
    """Skip the test where XRootD cannot run."""
    problem = programs_problem() or network_problem()
    require("xrootd", problem is None, str(problem))


def _prepare(issuer: Issuer, layout: Layout, trusted: str, short: Path) -> Stack:
    names = list(Ports.__dataclass_fields__)
    ports = Ports(**dict(zip(names, free_ports(len(names)), strict=True)))
    layout.facility_file.write_text(default_facility(ports))
    facility = load(layout.facility_file)
    identity = facility.identity.model_copy(
        update={"issuer": trusted, "access_token_issuer": trusted.rstrip("/")}
    )
    facility = facility.model_copy(update={"identity": identity})
    generation = installed_generation()
    assert generation is not None
    ensure_grid_pki(GridFiles.of(layout))
    write_client_authorities(layout)
    issuer_port = int(trusted.rstrip("/").rpartition(":")[2])
    parts = (
        network_part(layout, inward=(ports.xcache, ports.xcache_https), outward=(issuer_port,)),
        origin_part(layout, ORIGIN_PORT),
        cache_part(layout, facility, generation, origin_port=METER_PORT),
    )
    return Stack(
        layout=layout,
        facility=facility,
        issuer=issuer,
        parts={part.name: part for part in parts},
        instance=secrets.token_hex(8),
        meter=Meter(short / "meter.sock", layout.state / "meter.bin"),
        port=ports.xcache,
        https_port=ports.xcache_https,
        audience=facility.identity.audiences["storage"].audience,
    )


@contextmanager
def started_stack(root: Path, *, iam: str | None = None) -> Iterator[Stack]:
    """Give running servers with their data below `root`; nothing of them is left afterwards.

    With `iam`, tokens of that issuer are accepted in place of those of ``stack.token``: a
    development IAM that has its certificates in the same data folder.
    """
    require_xrootd()
    layout = Layout(root)
    layout.create()
    ensure_pki(layout)
    create_secrets(layout)
    issuer = Issuer(layout)
    # a socket's name ends at 107 characters
    short = tempfile.TemporaryDirectory(prefix="af-")
    stack = _prepare(issuer, layout, iam or issuer.url, Path(short.name))
    stack.parts["meter"] = _meter_part(stack)
    # should the tests be killed, the end of this pipe ends what they have started
    guard = subprocess.Popen(
        [sys.executable, "-m", "af_hub.embedded.guard", stack.instance],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        stack.start("network", *SERVERS, "meter")
        yield stack
    finally:
        guard.kill()
        guard.communicate()
        sweep(stack.instance, grace=2)
        for process in stack.processes.values():
            process.wait(PATIENCE)
        short.cleanup()
        issuer.server.shutdown()
        issuer.server.server_close()


@pytest.fixture(scope="session")
def xrootd_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Give the servers that all tests share; see the module's text."""
    with started_stack(tmp_path_factory.mktemp("xrootd") / "data") as stack:
        yield stack
