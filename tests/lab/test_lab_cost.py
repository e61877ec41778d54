"""What the extension adds to a Lab's start."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from testbed.lab_hub import SERVER_TOKEN, LabHub, lab_config

if TYPE_CHECKING:
    from pathlib import Path

MEASURE = """
import json, sys, time
start = time.process_time()
import jupyter_server.serverapp, jupyter_server.extension.application
import tornado.simple_httpclient  # Jupyter Server's gateway and kernel code load it as well
before = set(sys.modules)
began = time.process_time()
import af_labextension
af_labextension._jupyter_server_extension_points()
ours, whole = time.process_time() - began, began - start
print(json.dumps([ours, whole, sorted(set(sys.modules) - before)]))
"""

STARTED = """
import json, os, sys, time
from jupyter_server.serverapp import ServerApp
from tornado.ioloop import IOLoop
from jupyter_client.provisioning.factory import KernelProvisionerFactory

server = ServerApp()
server.initialize(
    ["--no-browser", "--allow-root", "--port=0", "--IdentityProvider.token=", "--ServerApp.root_dir=" + sys.argv[1],
     "--ServerApp.jpserver_extensions={'af_labextension': True}"]
)

def look(left=300):
    there = all(os.path.exists(os.environ[name]) for name in ("BEARER_TOKEN_FILE", "OIDC_SOCK"))
    if left and not there:
        IOLoop.current().call_later(0.1, look, left - 1)
        return
    searched = KernelProvisionerFactory.initialized()
    print(json.dumps([there, searched, sorted(sys.modules)]), flush=True)
    server.stop()

IOLoop.current().add_callback(look)
server.start()
"""
"""A server that tells what it has imported once the first token and the socket are there."""

LATER = {
    "af_labextension.data.listing",
    "af_labextension.data.webdav",
    "af_labextension.data.xrootd.client",
    "af_labextension.data.xrootd.process",
    "af_labextension.data.xrootd.protocol",
    "af_labextension.rucio.exchange",
    "af_labextension.rucio.fileset",
    "af_labextension.rucio.reading",
    "af_labextension.rucio.rules",
    "af_labextension.tokens.agent.boxes",
    "af_labextension.tokens.agent.client",
    "af_labextension.tokens.agent.messages",
    "af_labextension.tokens.agent.service",
}
"""Modules that only a request needs: half of what importing the extension would take."""

HEAVY = {"uproot", "dask", "distributed", "numpy", "requests", "aiohttp", "fsspec", "pydantic"}


def test_loading_stays_light() -> None:
    run = subprocess.run(
        [sys.executable, "-c", MEASURE], capture_output=True, text=True, timeout=60, check=True
    )
    ours, whole, modules = json.loads(run.stdout)
    assert not HEAVY & {module.split(".")[0] for module in modules}
    # 0.05 s where Jupyter Server itself takes a second; in shares, for machines differ
    assert ours < 0.15 * whole


async def test_a_start_with_everything_on_imports_nothing_that_only_requests_need(
    tmp_path: Path, lab_hub: LabHub
) -> None:
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    environment = {
        "JUPYTERHUB_API_TOKEN": SERVER_TOKEN,
        "JUPYTERHUB_API_URL": lab_hub.api_url,
        "BEARER_TOKEN_FILE": str(runtime / "bt"),
        "AF_TOKEN_DIR": str(runtime / "tokens"),
        "OIDC_SOCK": str(runtime / "agent"),
        "RUCIO_CONFIG": str(runtime / "rucio.cfg"),
        "HOME": str(tmp_path),
        "JUPYTER_CONFIG_DIR": str(tmp_path),
    }
    lab_hub.config = lab_config(
        storage=[{"name": "d", "title": "d", "url": "root://127.0.0.1:9//s", "audience": "storage"}]
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", STARTED, str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    async with asyncio.timeout(120):
        out, _ = await process.communicate()
    there, searched, modules = json.loads(out.splitlines()[-1])
    assert there
    # the entry points of all installed packages: 40 ms
    assert not searched
    assert "af_labextension.app" in modules
    assert LATER & set(modules) == set()


def test_what_is_imported_later_can_be_imported() -> None:
    assert all(importlib.util.find_spec(name) is not None for name in LATER)


def imported(code: str, readers: str) -> set[str]:
    """Return the modules that some code imports in a new Python."""
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; before = set(sys.modules); {code}; print(*set(sys.modules) - before)",
        ],
        env={**os.environ, "AF_READERS": readers},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(run.stdout.split()) - {"__future__"}


def test_a_kernel_pays_nothing_for_the_package() -> None:
    """The package is one small module; what prepares readers has been paid for at the start.

    That start has a promise of its own (``test_lab_readers_start``): three small modules, 5 ms.
    """
    assert imported("import af_labextension", "off") == {"af_labextension"}
    assert imported("import af_labextension", "on") == set()


def test_code_that_asks_for_a_token_pays_for_no_server() -> None:
    modules = imported("from af_labextension import token", "on")
    assert "af_labextension.code" in modules
    assert not modules & {"tornado", "jupyter_server", "traitlets", "nacl", "XRootD", *HEAVY}
