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

BUSY = """
import sys, time
from dask_gateway import Gateway

cluster = Gateway().connect(sys.argv[1])
client = cluster.get_client()
tasks, seconds = int(sys.argv[2]), float(sys.argv[3])

def work(number):
    time.sleep(seconds)
    return number

futures = client.map(work, range(tasks))
print("begun", flush=True)
assert sum(client.gather(futures)) == sum(range(tasks))
print("done", flush=True)
client.close()
"""


FORGET = """
import sys
from dask_gateway import Gateway
from distributed import fire_and_forget

client = Gateway().connect(sys.argv[1]).get_client()

def work(number, path):
    import time
    time.sleep(0.2)
    with open(path, "a") as file:
        file.write(".")

fire_and_forget(client.map(work, range(20000), path=sys.argv[2]))
client.close()
"""
"""Tasks that go on without their client."""


def compute_on(environment: dict[str, str], home: Path, cluster: str, progress: Path) -> None:
    """Let a cluster compute for long; it writes a dot into a file for each task."""
    subprocess.run(
        [sys.executable, "-c", FORGET, cluster, str(progress)],
        env=environment_of(home, environment),
        check=True,
        timeout=90,
    )


def environment_of(home: Path, environment: dict[str, str]) -> dict[str, str]:
    """Return the whole environment of a notebook."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "DASK_GATEWAY__AUTH__TYPE": "jupyterhub",
        **environment,
    }


def start_busy_client(
    environment: dict[str, str], home: Path, cluster: str, tasks: int, seconds: float
) -> subprocess.Popen[str]:
    """Start a notebook that computes so many tasks of a length; it says when they have begun."""
    busy = subprocess.Popen(
        [sys.executable, "-c", BUSY, cluster, str(tasks), str(seconds)],
        env=environment_of(home, environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert busy.stdout is not None
    said = []
    for line in busy.stdout:
        said.append(line)
        if line == "begun\n":
            return busy
    raise AssertionError("".join(said))


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
        env=environment_of(home, environment),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    if done.returncode:
        return {"error": done.stderr}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
