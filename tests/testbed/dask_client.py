"""A Dask client in a process of its own, as a notebook is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

CLIENT = """
import json, os, sys
from dask_gateway import Gateway

gateway = Gateway()
cluster = gateway.connect(sys.argv[1])
client = cluster.get_client()
client.wait_for_workers(int(sys.argv[2]), timeout=30)

def look():
    path = os.environ.get("BEARER_TOKEN_FILE", "")
    return {"token": open(path).read() if path else "", "path": path}

def read(url):
    # what any program on a worker does: the file that the environment names, nothing else
    import urllib.request
    headers = {"Authorization": "Bearer " + look()["token"].strip(), "Range": "bytes=0-3"}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as file:
        return file.read().decode()

urls = sys.argv[3:]
print(json.dumps({
    "sum": client.submit(sum, [1, 2, 3]).result(timeout=20),
    "seen": list(client.run(look).values()),
    "read": [client.submit(read, url).result(timeout=20) for url in urls],
    "addresses": list(client.scheduler_info(n_workers=-1)["workers"]),
}))
client.close()
"""


def run_client(
    environment: dict[str, str], home: Path, cluster: str, workers: int, *urls: str
) -> dict[str, Any]:
    """Do what a notebook does: nothing but the environment says where the gateway is.

    Parameters
    ----------
    environment
        What the Lab would have set.
    home
        Home folder of the process.
    cluster
        Id of a running cluster.
    workers
        Number of workers to wait for.
    urls
        Files of the storage that a worker reads the first four bytes of.

    Returns
    -------
    dict
        ``sum``, ``seen`` (token and path by worker), ``read``, ``addresses``; or ``error``.
    """
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, cluster, str(workers), *urls],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "DASK_GATEWAY__AUTH__TYPE": "jupyterhub",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    if done.returncode:
        return {"error": done.stderr}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
