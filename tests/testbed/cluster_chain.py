"""The way of a token to Dask workers as a whole: development IAM, hub, Dask Gateway, the XCache.

All are the real programs in processes of their own, the hub's broker as well. `ClusterReading` is a
notebook that lets the workers of a cluster read, as `testbed.reading` does; nothing in it knows of
tokens.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from af_hub.embedded.gateway import gateway_part, gateway_proxy_part
from af_hub.embedded.secrets import GATEWAY_API_TOKEN
from af_hub.embedded.wiring import Ports, Wiring
from af_hub.facility import load
from testbed.gateway import TESTS, Testbed
from testbed.iam import free_ports
from testbed.iam_hub import Hub, start_hub
from testbed.token_chain import set_audience
from testbed.xrootd import Stack, started_stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROLES = """
from af_hub.compute.settings import dask_access
c.JupyterHub.load_roles = roles(given["services"], dask_access())
"""

PROGRAM = """
import json, sys, zipfile
from pathlib import Path
import testbed
from dask_gateway import Gateway

cluster = Gateway().connect(sys.argv[1])
client = cluster.get_client()
# the workers have no tests
with zipfile.ZipFile("readers.zip", "w") as bundle:
    for name in ("__init__", "reading", "wall_clock"):
        file = Path(testbed.__file__).with_name(f"{name}.py")
        bundle.write(file, f"testbed/{file.name}")
client.upload_file("readers.zip")

def read_on(*arguments):
    from testbed import reading
    return reading.read_on(*arguments)

tasks = [
    client.submit(read_on, *sys.argv[2:], workers=[name], pure=False)
    for name in client.scheduler_info(n_workers=-1)["workers"]
]
print("ready", flush=True)
print(json.dumps(client.gather(tasks)), flush=True)
client.close()
"""


@dataclass
class ClusterChain:
    """The running programs.

    Parameters
    ----------
    hub
        With ``hub.iam``.
    stack
        With the cache, which believes that IAM.
    bed
        The gateway; alice has a token of the hub.
    """

    hub: Hub
    stack: Stack
    bed: Testbed


@contextmanager
def cluster_chain(folder: Path, life: int) -> Iterator[ClusterChain]:
    """Start all of it for alice; tokens live for `life` seconds."""
    hub = start_hub(folder, client={"access_token_seconds": life}, more=ROLES)
    try:
        with started_stack(hub.iam.layout.root, iam=hub.iam.issuer) as stack:
            set_audience(hub, stack.audience)
            browser, _ = hub.log_in("alice")
            token = str(hub.api(browser, "users/alice/tokens", "POST").json["token"])
            bed = Testbed(_wiring(hub, stack), tokens={"alice": token})
            try:
                bed.start(gateway_part(bed.wiring))
                bed.start(gateway_proxy_part(bed.wiring))
                yield ClusterChain(hub, stack, bed)
            finally:
                bed.end()
    finally:
        hub.stop()
        hub.iam.stop()


def _wiring(hub: Hub, stack: Stack) -> Wiring:
    """Say where the gateway is: in the stack's data folder, asked without the hub's proxy."""
    layout = stack.layout
    layout.secret(GATEWAY_API_TOKEN).write_text(hub.services["dask-gateway"])
    names = list(Ports.__dataclass_fields__)
    ports = Ports(**dict(zip(names, free_ports(len(names)), strict=True)))
    return Wiring(
        layout=layout,
        ports=replace(ports, hub=int(hub.url.rpartition(":")[2]), public=ports.gateway),
        host="127.0.0.1",
        instance=secrets.token_hex(8),
        facility=load(layout.facility_file),
        facility_file=layout.facility_file,
    )


class ClusterReading:
    """The running notebook.

    Parameters
    ----------
    chain
        What it reads from.
    cluster
        Alice's cluster, with its workers.
    folder
        For its files.
    path
        The folder to read, below the store.
    """

    def __init__(self, chain: ClusterChain, cluster: str, folder: Path, path: str) -> None:
        self._now, self._stop, self._errors = folder / "now", folder / "stop", folder / "errors"
        self._now.write_text(path)
        self._chain, self._cluster, self._folder = chain, cluster, folder

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start the program; it is ended in any case."""
        bed, server = self._chain.bed, f"127.0.0.1:{self._chain.stack.port}"
        program = [sys.executable, "-c", PROGRAM, self._cluster, server]
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                [*program, str(self._now), str(self._stop)],
                cwd=self._folder,
                env={
                    "PATH": os.environ["PATH"],
                    "HOME": str(self._folder),
                    "PYTHONPATH": TESTS,
                    "JUPYTERHUB_API_TOKEN": bed.token("alice"),
                    "DASK_GATEWAY__AUTH__TYPE": "jupyterhub",
                    "DASK_GATEWAY__ADDRESS": bed.address,
                    "DASK_GATEWAY__PROXY_ADDRESS": bed.wiring.gateway_proxy_url,
                },
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self._process.stdout is not None
        try:
            assert self._process.stdout.readline() == "ready\n", self._said()
            yield
        finally:
            self._process.kill()
            self._process.communicate()

    def results(self) -> list[dict[str, Any]]:
        """End the reading and return what each worker says, see `testbed.reading.read_on`."""
        self._stop.touch()
        output, _ = self._process.communicate(timeout=120)
        assert self._process.returncode == 0, self._said()
        said: list[dict[str, Any]] = json.loads(output.splitlines()[-1])
        return said

    def _said(self) -> str:
        return self._errors.read_text()[-3000:]
