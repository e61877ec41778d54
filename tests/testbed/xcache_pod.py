"""The XCache image's containers as plain processes: its own scripts, Debian's XRootD.

`xcache_pod` is made once: a GSI-only origin, a proxy made by ``renew-proxy``, the cache started by
``entrypoint`` with what ``analysis-facility values --for xcache`` writes, and the exporter from the
files that the image copies, all in a network of their own. It gives what clients were answered.
Where ``AF_XROOTD_ROOT`` names a root file system (``make test-xrootd-6``), cache and proxy are made by
the programs of that one.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from af_hub.embedded.xrootd.availability import network_problem, programs_problem
from af_hub.embedded.xrootd.grid_pki import GridFiles, ensure_grid_pki, key_of, service_name
from af_hub.facility.load import parse
from af_hub.xcache import production_places, render
from af_hub.xcache.versions import Version, generation_of, parse_version
from testbed.require import require

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[2]
ISSUER = "https://iam.example.org"
AUDIENCE = "https://cache.example.org:8443"
FACILITY = f"""
identity:
  issuer: {ISSUER}/
  access_token_issuer: {ISSUER}
  client_id: hub
  client_secret_file: secrets/client
  audiences: {{storage: {{audience: "{AUDIENCE}", scope: "storage.read:/store/cms"}}}}
storage:
  - {{name: cache, title: C, url: "root://localhost:2094//store", audience: storage}}
xcache:
  origin: root://localhost:1094
  doors: [cache]
  monitoring: {{every: 5s}}
"""
ORIGIN = """\
all.adminpath $folder/origin
all.pidpath $folder/origin
all.export /store r/o
oss.localroot $folder
xrd.port 1094
xrd.network nodnr
xrootd.seclib libXrdSec.so
sec.protocol gsi -certdir:$trusted -cert:$certificate -key:$key -gridmap:$folder/gridmap -gmapopt:trymap -crl:0
sec.protbind * only gsi
ofs.authorize 1
acc.authdb $folder/origin.authdb
"""


@dataclass(frozen=True)
class PodRun:
    """What the containers and their clients said.

    Parameters
    ----------
    answers
        By token: exit code of ``xrdcp`` and what it printed; ``metrics`` is the exporter's text.
    folder
        Logs: ``origin.log``, ``cache.log``, ``exporter.log``; tokens in ``tokens``.
    version
        Of the cache.
    """

    answers: dict[str, Any]
    folder: Path
    version: Version

    def log(self, name: str) -> str:
        """Return a container's log."""
        return (self.folder / f"{name}.log").read_text(errors="replace")


def _programs(folder: Path) -> Version:
    """Put XRootD's programs of another root into ``bin``; return which version will answer."""
    (folder / "bin").mkdir()
    root = os.environ.get("AF_XROOTD_ROOT")
    if root is not None:
        # by its own loader: chroot(2) needs a privilege that is gone inside
        loader = f"{root}/lib64/ld-linux-x86-64.so.2 --library-path {root}/usr/lib/x86_64-linux-gnu"
        for name in ("xrootd", "xrdgsiproxy"):
            program = folder / "bin" / name
            program.write_text(f'#!/bin/sh\nexec {loader} {root}/usr/bin/{name} "$@"\n')
            program.chmod(0o755)
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    answer = subprocess.run(
        [shutil.which("xrootd", path=path) or "xrootd", "-v"],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    return parse_version((answer.stdout + answer.stderr).strip())


def copied_by_the_image() -> list[str]:
    """List the sources of the Containerfile's ``COPY`` lines, relative to the repository."""
    text = (REPOSITORY / "images" / "xcache" / "Containerfile").read_text()
    lines = re.findall(r"^COPY (?:--\S+ )*(.+)$", text, re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


def _tokens(folder: Path) -> None:
    """Sign tokens, and put the key where scitokens would keep the issuer's."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = json.loads(RSAAlgorithm.to_jwk(key.public_key()))
    keys = {"keys": [{**public, "kid": "one", "alg": "RS256", "use": "sig"}]}
    now = int(time.time())
    (folder / "keys" / "scitokens").mkdir(parents=True)
    with sqlite3.connect(folder / "keys" / "scitokens" / "scitokens_cpp.sqllite") as database:
        database.execute(
            "CREATE TABLE keycache (issuer text UNIQUE PRIMARY KEY NOT NULL, keys text NOT NULL)"
        )
        known = json.dumps({"jwks": keys, "expires": now + 9999, "next_update": now + 9999})
        database.execute("INSERT INTO keycache VALUES (?, ?)", (ISSUER, known))
    database.close()
    usual = {
        "iss": ISSUER,
        "sub": "person",
        "aud": AUDIENCE,
        "jti": "1",
        "wlcg.ver": "1.0",
        "iat": now,
        "nbf": now - 60,
        "exp": now + 600,
        "scope": "storage.read:/store/cms",
    }
    changes: dict[str, dict[str, Any]] = {
        "good": {},
        "open": {"scope": "storage.read:/store/open"},
        "aud": {"aud": "https://elsewhere.example.org"},
        "iss": {"iss": f"{ISSUER}/"},
        "group": {"scope": "openid", "wlcg.groups": ["/cms"]},
        "write": {"scope": "storage.read:/store/cms storage.create:/store/cms"},
    }
    (folder / "tokens").mkdir()
    for name, claims in changes.items():
        path = folder / "tokens" / name
        path.touch(mode=0o600)
        path.write_text(jwt.encode({**usual, **claims}, key, "RS256", headers={"kid": "one"}))


def _prepare(folder: Path, version: Version) -> None:
    """Write certificates, configurations, data and tokens."""
    grid = GridFiles(folder / "grid")
    ensure_grid_pki(grid)
    for name in ("origin", "run", "proxy", "config", "tls", "service", "store/cms"):
        (folder / name).mkdir(parents=True)
    for name, certificate in (("tls", grid.host), ("service", grid.service)):
        shutil.copy(certificate, folder / name / "tls.crt")
        shutil.copy(key_of(certificate), folder / name / "tls.key")
        # as Kubernetes mounts a secret with fsGroup
        (folder / name / "tls.key").chmod(0o640)
    (folder / "store/cms/f").write_bytes(b"hello" * 1000)
    origin = ORIGIN
    for name, path in (
        ("folder", folder),
        ("trusted", grid.trusted),
        ("certificate", grid.host),
        ("key", key_of(grid.host)),
    ):
        origin = origin.replace(f"${name}", str(path))
    (folder / "origin.cf").write_text(origin)
    (folder / "gridmap").write_text(f'"{service_name()}" xcachesvc\n')
    (folder / "origin.authdb").write_text("u xcachesvc /store rl\n")
    facility = parse(FACILITY, folder / "facility.yaml")
    places = dataclasses.replace(
        production_places(facility),
        data=PurePosixPath(folder / "cache/data"),
        meta=PurePosixPath(folder / "cache/meta"),
        root=PurePosixPath(folder / "cache/names"),
        admin=PurePosixPath(folder / "run/admin"),
        certificate=PurePosixPath(folder / "run/tls.crt"),
        key=PurePosixPath(folder / "run/tls.key"),
        certificates=PurePosixPath(grid.trusted),
        scitokens=PurePosixPath(folder / "config/scitokens.cfg"),
        authdb=PurePosixPath(folder / "config/authdb"),
        generation=generation_of(version),
    )
    for name, text in render(facility, places).files.items():
        (folder / "config" / name).write_text(text)
    for source in copied_by_the_image():
        if source.endswith(".py"):
            target = folder / "exporter" / source
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / source, target)
    _tokens(folder)


@pytest.fixture(scope="session")
def xcache_pod() -> Iterator[PodRun]:
    """Run the image's containers once and return what was answered."""
    problem = programs_problem() or network_problem()
    require("xrootd", problem is None, problem or "")
    # a short path: the admin path ends in a UNIX socket
    with tempfile.TemporaryDirectory(prefix="af-pod-") as name:
        folder = Path(name)
        version = _programs(folder)
        _prepare(folder, version)
        done = subprocess.run(
            [sys.executable, REPOSITORY / "tests/testbed/xcache_inside.py", folder, REPOSITORY],
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        logs = {path.name: path.read_text(errors="replace") for path in folder.glob("*.log")}
        assert done.returncode == 0, (done.stderr, logs)
        yield PodRun(json.loads(done.stdout), folder, version)
