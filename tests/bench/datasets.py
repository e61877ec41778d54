"""A dataset of 100,000 files through the Lab server, ours and rucio-jupyterlab's."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from bench.figure import Figure
from bench.lab_process import lab_process
from bench.peers import RUCIO, peer_python
from testbed.iam import start_iam
from testbed.rucio import BIG, BIG_FILES, RucioServer, in_path, running_rucio

if TYPE_CHECKING:
    from bench.lab_process import Stream

RUNS = 5

CONTAINER = "big.container"
"""A name without a slash: the peer finds nothing under names that begin with one, as all names of
CMS do (it folds ``//`` to ``/`` in addresses)."""


def measure() -> list[Figure]:
    """Read the dataset with ours a few times and once with the peer, from the same Rucio."""
    with tempfile.TemporaryDirectory(prefix="af-bench-") as folder:
        root = Path(folder)
        iam = start_iam(root / "iam")
        try:
            with running_rucio(root / "rucio", iam) as rucio:
                token = root / "token"
                token.touch(mode=0o600)
                token.write_text(rucio.token("alice"))
                ours = our_streams(root / "ours", rucio, token)
                peer = peer_stream(root / "peer", rucio, token)
        finally:
            iam.stop()
    rows = f"{BIG_FILES:,} files"
    beside = f"rucio-jupyterlab 41.0.0: first {peer.first:.1f} s, +{peer.grown:.0f} MB"
    return [
        Figure(
            f"{rows}: first rows",
            tuple(each.first for each in ours),
            "s",
            "≤ 0.3 s",
            lambda value: value <= 0.3,
            beside,
            "through the Lab server",
        ),
        Figure(
            f"{rows}: complete",
            tuple(each.complete for each in ours),
            "s",
            "≤ 2 s",
            lambda value: value <= 2,
            f"{peer.complete:.1f} s",
        ),
        Figure(
            f"{rows}: growth of the Lab server",
            tuple(each.grown for each in ours),
            "MB",
            "≤ +10 MB",
            lambda value: value <= 10,
            f"+{peer.grown:.0f} MB",
            f"at the peak; first pass +{ours[0].grown:.1f} MB",
        ),
    ]


def our_streams(folder: Path, rucio: RucioServer, token: Path) -> list[Stream]:
    """Read the dataset through our extension."""
    folder.mkdir()
    config = {"FacilityExtension": {"rucio_url": rucio.url, "bearer_token_file": str(token)}}
    scope, name = BIG
    query = urlencode({"scope": scope, "name": name, "type": "dataset"})
    with lab_process(sys.executable, folder, config, {}) as lab:
        streams = [lab.stream(f"af/rucio/children?{query}") for _ in range(RUNS)]
    for stream in streams:
        *rows, last = stream.body.decode().splitlines()
        assert len(rows) == BIG_FILES, last
        assert json.loads(last)["done"], last
    return streams


def peer_stream(folder: Path, rucio: RucioServer, token: Path) -> Stream:
    """Read it through the peer, once: it keeps the list in a database of its own."""
    folder.mkdir()
    scope, name = BIG
    container = f"/dids/{scope}/{in_path(CONTAINER)}"
    made = rucio.post(container, {"type": "CONTAINER"}, user="dora")
    assert made.status == 201, made.text
    filled = rucio.post(
        f"{container}/dids", {"dids": [{"scope": scope, "name": name}]}, user="dora"
    )
    assert filled.status == 201, filled.text
    instance = {
        "name": "bench",
        "display_name": "bench",
        "rucio_base_url": rucio.url,
        "rucio_auth_url": rucio.url,
        "site_name": "bench",
        "rucio_ca_cert": str(rucio.iam.layout.ca_bundle),
        "mode": "download",
        "oidc_auth": "file",
        "oidc_file_name": str(token),
    }
    config = {
        "RucioConfig": {
            "instances": [instance],
            "default_instance": "bench",
            "default_auth_type": "oidc",
        }
    }
    with lab_process(peer_python(RUCIO), folder, config, {}) as lab:
        chosen = {"namespace": "bench", "type": "oidc", "params": {}}
        lab.request("rucio-jupyterlab/auth", method="PUT", body=chosen).close()
        query = urlencode({"namespace": "bench", "did": f"{scope}:{CONTAINER}"})
        stream = lab.stream(f"rucio-jupyterlab/files?{query}")
    assert len(json.loads(stream.body)) == BIG_FILES
    return stream
