"""A real Rucio server on PostgreSQL and memcached, with the demo's data and a huge dataset.

For tests that talk to Rucio, ``rucio_server`` (one for all tests, up in 7 s) gives:

- ``rucio_server.url``: its address, ``http://127.0.0.1:PORT``, for the facility file's ``rucio.url``;
- ``rucio_server.token("alice")``: a valid token, by a real login at the development IAM and a real
  exchange for the audience ``rucio`` (``bob``, ``carol`` and ``dora``, who is Rucio's admin, too;
  ``eve`` gets a token but has no account). It goes into the header ``X-Rucio-Auth-Token``;
- ``rucio_server.get("/scopes/", user="alice")`` and ``.post(path, {...})``: an answer with
  ``status``, ``text``, ``json`` and ``rows`` (the lines of NDJSON);
- ``BIG``: scope and name of a dataset with ``BIG_FILES`` files, ``cms:/Big/Dataset/NANOAOD``;
- ``ODD``: scope and names of files with every kind of character that Rucio's schema permits;
- ``rucio_server.iam``: the development IAM whose tokens it takes (the fixture ``iam``);
- ``rucio_server.settings.storage``: the RSEs, so the beginnings of all addresses of replicas:
  ``root://localhost:1094//store/…`` and ``davs://127.0.0.1:<DISK_PORT>/store/…``.

Change nothing in it: a test that needs a server of its own takes ``start_rucio`` (SQLite, 2 s).
"""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psutil
import pytest

from af_hub.embedded.rucio.config import RucioHome
from af_hub.embedded.rucio.environment import install_rucio, rucio_python
from af_hub.embedded.rucio.part import rucio_environment, rucio_people
from af_hub.embedded.rucio.server.af_rucio.settings import Settings, StorageElement
from af_hub.facility.rucio import Rucio
from testbed.iam import CALLBACK, IAM, free_ports
from testbed.require import require

if TYPE_CHECKING:
    from collections.abc import Iterator

BIG = ("cms", "/Big/Dataset/NANOAOD")
"""Scope and name of the huge dataset."""

BIG_FILES = 100_000
"""How many files it has; the first is ``/store/cms/big/NANOAOD/0000/file_000000.root``."""

DISK_PORT = 9443
"""Port in addresses of replicas at DEMO_DISK; nobody listens there."""

ODD = (
    "cms",
    (
        "/store/cms/odd/-a..b__c.root",
        "/store/cms/odd/UPPER.lower.-_.root",
        "/store/cms/odd/double..dot/0.root",
        f"/store/cms/odd/{'long' * 57}.root",
    ),
)
"""Scope and names of files that are unusual and permitted."""

DEMO = {
    "cms": [f"/store/cms/zmumu/zmumu_{number}.root" for number in range(4)],
    "atlas": ["/store/atlas/zmumu/zmumu_small.root"],
    "open": ["/store/open/zmumu/zmumu_small.root"],
}
"""Scope → names of the files of the demo."""

PATIENCE = 60.0
"""Seconds for anything that should take a few."""


@dataclass(frozen=True)
class RucioAnswer:
    """An HTTP answer of Rucio."""

    status: int
    text: str
    headers: dict[str, str] = field(repr=False)

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.text)

    @property
    def rows(self) -> list[Any]:
        """The lines of NDJSON."""
        return [json.loads(line) for line in self.text.splitlines()]


def in_path(name: str) -> str:
    """Return a name as it stands in a path of Rucio's REST interface: quoted whole."""
    return quote(name, safe="")


@dataclass
class RucioServer:
    """A Rucio server and what tests need to talk to it."""

    home: RucioHome
    settings: Settings
    iam: IAM
    log_file: Path
    process: subprocess.Popen[bytes] | None = None
    tokens: dict[str, str] = field(default_factory=dict, repr=False)
    callback: str = CALLBACK
    """Redirect URI that the IAM's client may use."""

    @property
    def url(self) -> str:
        """Address without trailing slash."""
        return f"http://127.0.0.1:{self.settings.port}"

    @property
    def log(self) -> str:
        """Everything that the process has written."""
        return self.log_file.read_text(encoding="utf-8")

    @property
    def pids(self) -> list[int]:
        """The server's process and its worker."""
        assert self.process is not None
        parent = psutil.Process(self.process.pid)
        return [parent.pid, *(child.pid for child in parent.children(recursive=True))]

    def token(self, user: str, *, audience: str = "rucio", scope: str = "openid profile") -> str:
        """Return an access token of a demo user, by login and exchange."""
        key = f"{user} {audience} {scope}"
        if key not in self.tokens:
            login = self.iam.log_in(user, callback=self.callback)["access_token"]
            answer = self.iam.exchange(login, scope, audience=audience)
            assert answer.status == 200, answer.text
            self.tokens[key] = answer.json["access_token"]
        return self.tokens[key]

    def get(self, path: str, *, user: str = "alice", token: str | None = None) -> RucioAnswer:
        """GET a path with a user's token, or with `token` as it is."""
        return self._send(path, None, token or self.token(user))

    def post(self, path: str, body: Any, *, user: str = "alice") -> RucioAnswer:
        """POST JSON with a user's token."""
        return self._send(path, json.dumps(body).encode(), self.token(user))

    def _send(self, path: str, body: bytes | None, token: str) -> RucioAnswer:
        headers = {"X-Rucio-Auth-Token": token, "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, body, headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as answer:
                return RucioAnswer(answer.status, answer.read().decode(), dict(answer.headers))
        except urllib.error.HTTPError as error:
            with error:
                return RucioAnswer(error.code, error.read().decode(), dict(error.headers))

    def replicas(self, scope: str, name: str) -> dict[str, list[str]]:
        """Return the addresses of a file's replicas by RSE."""
        body = {"dids": [{"scope": scope, "name": name}], "schemes": ["root", "davs"]}
        (row,) = self.post("/replicas/list", body).rows
        found: dict[str, list[str]] = row["rses"]
        return found

    def write_settings(self, memcached: str | None = None) -> None:
        """Write the configuration files."""
        self.home.write(self.settings, audience="rucio", memcached=memcached)

    def launch(self) -> None:
        """Start the process without waiting for it."""
        program = (str(rucio_python()), "-m", "af_rucio", str(self.home.settings))
        command = as_user(None, *program, death="TERM")
        environment = rucio_environment(self.home.config, self.iam.layout.ca_bundle)
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, cwd=self.home.folder.parent
            )

    def start(self) -> None:
        """Start it (again) on the same database and port; it answers when this returns."""
        self.launch()
        wait_until(self.is_up, f"Rucio: {self.log_file}", self.process)

    def is_up(self) -> bool:
        """Tell whether it answers."""
        with suppress(OSError):
            return self._send("/ping", None, "").status == 200
        return False

    def stop(self) -> None:
        """Stop it as the supervisor does."""
        assert self.process is not None
        self.process.terminate()
        assert self.process.wait(60) == 0, self.log


def wait_until(condition: Any, what: str, process: subprocess.Popen[bytes] | None) -> None:
    """Wait for a condition as long as the process lives."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert process is None or process.poll() is None, f"{what} has ended"
        assert time.monotonic() < deadline, f"waited {PATIENCE:.0f} s for {what}"
        time.sleep(0.05)


def fill_store(store: Path) -> None:
    """Write small files under the names of the demo, and some with odd names."""
    names = [name for files in DEMO.values() for name in files] + list(ODD[1])
    for number, name in enumerate(names):
        path = store / name.removeprefix("/store/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([number]) * (1000 + number))


def prepare_rucio(root: Path, iam: IAM, *, database: str = "") -> RucioServer:
    """Return a server that is configured and not running; its files lie below `root`.

    Parameters
    ----------
    root
        A folder of its own.
    iam
        Whose tokens it is to take.
    database
        URL for SQLAlchemy; by default an SQLite file below `root`.
    """
    install_rucio(print)
    home = RucioHome(root / "rucio")
    store = root / "store"
    home.folder.mkdir(parents=True)
    fill_store(store)
    port = free_ports(1)[0]
    settings = Settings(
        port=port,
        database=database or home.database_url,
        issuer=iam.config.access_token_issuer,
        people=rucio_people(Rucio(url=f"http://127.0.0.1:{port}", audience="rucio")),
        storage=(
            StorageElement("DEMO_ORIGIN", "root", "localhost", 1094),
            StorageElement("DEMO_DISK", "davs", "127.0.0.1", DISK_PORT, priority=2),
        ),
        store=store,
        filled=None,
        sums=home.sums,
    )
    server = RucioServer(home, settings, iam, root / "rucio.log")
    server.write_settings()
    return server


@contextmanager
def start_rucio(root: Path, iam: IAM, **changes: Any) -> Iterator[RucioServer]:
    """Give a running server on SQLite; `changes` are for its settings."""
    server = prepare_rucio(root, iam)
    server.settings = replace(server.settings, **changes)
    server.write_settings()
    server.start()
    try:
        yield server
    finally:
        if server.process is not None and server.process.poll() is None:
            server.process.kill()
            server.process.wait()


# --- PostgreSQL and memcached ---------------------------------------------------------------


def postgresql_program(name: str) -> str | None:
    """Return the path of one of PostgreSQL's programs; Debian keeps them out of the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else shutil.which(name)


def unprivileged() -> str | None:
    """Return the user for servers that refuse to run as root; None to stay who we are."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)


def as_user(user: str | None, *command: str, death: str = "") -> list[str]:
    """Return a command that runs as `user` and gets the signal `death` when its parent dies."""
    prefix = [shutil.which("setpriv") or "setpriv"]  # the path of the server may lack it
    if death:
        prefix.append(f"--pdeathsig={death}")
    if user:
        group = str(pwd.getpwnam(user).pw_gid)
        prefix += [f"--reuid={user}", f"--regid={group}", "--clear-groups"]
    return [*prefix, *command]


@contextmanager
def server_folder(user: str | None) -> Iterator[Path]:
    """Give a folder of `user`; those of test runs that were killed are removed.

    A lock tells the living, not a process id: two runs may each have processes of their own.
    """
    base = Path(tempfile.gettempdir())
    for old in base.glob("af-rucio-*"):
        with suppress(OSError), _locked(old):
            shutil.rmtree(old, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix="af-rucio-", dir=base))
    with _locked(folder):
        if user:
            shutil.chown(folder, user)
        try:
            yield folder
        finally:
            shutil.rmtree(folder)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder as long as this process lives, or raise BlockingIOError if another does."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def process_of(command: list[str], log: Path, end: signal.Signals) -> Iterator[Any]:
    """Run a server; it is ended by `end`."""
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, cwd=log.parent)
    try:
        yield process
    finally:
        process.send_signal(end)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def running_postgresql(folder: Path, user: str | None) -> Iterator[str]:
    """Give the URL of an empty database; it has no TCP port, only a socket in `folder`."""
    initdb, postgres = postgresql_program("initdb"), postgresql_program("postgres")
    assert initdb
    assert postgres
    data, log = folder / "data", folder / "postgresql.log"
    options = ["--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", "--username=rucio"]
    made = subprocess.run(
        as_user(user, initdb, "-D", str(data), *options),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        check=False,
    )
    assert made.returncode == 0, made.stdout
    fast = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_wal_size=4GB")
    settings = [f"-c{each}" for each in ("listen_addresses=", *fast)]
    command = as_user(user, postgres, "-D", str(data), "-k", str(folder), *settings, death="QUIT")
    # SIGQUIT: at once, nobody wants the data again
    with process_of(command, log, signal.SIGQUIT) as process:
        wait_until(lambda: b"ready to accept" in log.read_bytes(), str(log), process)
        yield f"postgresql+psycopg://rucio@/postgres?host={folder}"


@contextmanager
def running_memcached(folder: Path, user: str | None) -> Iterator[str]:
    """Give the address of a memcached: a socket in `folder`."""
    program = shutil.which("memcached")
    assert program
    socket = folder / "memcached"
    command = as_user(user, program, "-s", str(socket), "-a", "0700", "-m", "64", death="TERM")
    with process_of(command, folder / "memcached.log", signal.SIGTERM) as process:
        wait_until(socket.exists, "memcached", process)
        yield str(socket)


def add_big_dataset(server: RucioServer) -> None:
    """Put the huge dataset into the database, and everything that the server would put there."""
    script = Path(__file__).with_name("rucio_big.py")
    environment = rucio_environment(server.home.config, server.iam.layout.ca_bundle)
    # -P: beside the script is our own rucio.py
    command = [str(rucio_python()), "-P", str(script), str(server.home.settings)]
    done = subprocess.run(
        [*command, *BIG, str(BIG_FILES)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@contextmanager
def running_rucio(root: Path, iam: IAM) -> Iterator[RucioServer]:
    """Give a server on PostgreSQL and memcached with the huge dataset; its files lie below `root`."""
    user = unprivileged()
    with (
        server_folder(user) as folder,
        running_postgresql(folder, user) as database,
        running_memcached(folder, user) as memcached,
    ):
        server = prepare_rucio(root, iam, database=database)
        server.write_settings(memcached)
        add_big_dataset(server)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def rucio_server(tmp_path_factory: pytest.TempPathFactory, iam: IAM) -> Iterator[RucioServer]:
    """Give a Rucio server that all tests share, see the top of this file; change nothing in it."""
    require("postgresql", postgresql_program("initdb"), "PostgreSQL's initdb is not installed")
    require("memcached", shutil.which("memcached"), "memcached is not installed")
    with running_rucio(tmp_path_factory.mktemp("rucio"), iam) as server:
        yield server
