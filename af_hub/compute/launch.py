"""What has to be started for a cluster, said without saying where. Pure.

A `Launch` names a command, an environment and the files that must lie beside it. Secrets are only
ever in the files; a backend carries them to the place (a folder of mode 0700, a Kubernetes secret,
a job's spool) and never into an argument, an environment variable or a job ad.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

CERTIFICATE_FILE = "tls.crt"
"""The cluster's own certificate, both authority and identity of scheduler, workers and clients."""
KEY_FILE = "tls.key"
"""Key of `CERTIFICATE_FILE`."""
GATEWAY_TOKEN_FILE = "gateway-token"  # noqa: S105  a file name
"""Gateway's token of the cluster: scheduler to gateway and back."""
SCHEDULER_PRELOAD = "af_scheduler_preload.py"
"""`af_hub.compute.preload` as it lies beside a process; the name is nobody else's module."""
TOKEN_PRELOAD = "af_token_preload.py"  # noqa: S105  a file name
"""`af_hub.compute.token_preload`, likewise."""

HTTP_ROUTES = (
    "distributed.http.scheduler.prometheus",
    "distributed.http.scheduler.info",
    "distributed.http.scheduler.json",
    "distributed.http.health",
    "distributed.http.statics",
)
"""Pages of the scheduler beside the dashboard: Dask's default without its proxy to workers."""


ALLOCATOR = {
    "MALLOC_TRIM_THRESHOLD_": str(64 * 2**20),
    "MALLOC_MMAP_THRESHOLD_": str(16 * 2**20),
}
"""Environment of workers, in bytes. Dask's nanny trims at 64 KiB, which makes glibc fetch every
larger array from the kernel anew: Z→μμ took twice the time (measured). With these a worker may hold
64 MiB that are free; what stands in the environment wins over Dask's default."""


DOORS = "AF_DOORS"
"""Environment variable with the facility's doors, ``audience=url`` with blanks between; programs
show the token to these and no others."""


@dataclass(frozen=True, slots=True)
class Launch:
    """One process to start.

    Parameters
    ----------
    command
        Program and arguments; no secret.
    environment
        The whole environment apart from what the backend must let through; no secret.
    files
        Name to content, private to the cluster.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str]
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What Dask Gateway knows about a cluster and a process of it needs.

    Parameters
    ----------
    name
        Gateway's name of the cluster, 32 hex digits.
    folder
        Where the files will lie for the process: absolute, or ``.`` for the one it starts in.
    api_url
        Gateway's API as schedulers reach it.
    host
        Address to listen at.
    audience
        Audience of the bearer token that is relayed to the cluster; empty: none is.
    extra
        Further environment, from the facility: no secret.
    """

    name: str
    folder: str
    api_url: str
    host: str
    audience: str
    extra: Mapping[str, str]


def scheduler_launch(
    command: tuple[str, ...],
    facts: ClusterFacts,
    *,
    heartbeat: float,
    adaptive_period: float,
    idle_timeout: float,
    files: Mapping[str, bytes],
) -> Launch:
    """Describe the scheduler.

    Parameters
    ----------
    command
        Starts a Dask scheduler, for example ``("dask", "scheduler")``.
    heartbeat, adaptive_period, idle_timeout
        Seconds; see Gateway's scheduler preload.
    files
        Certificate, key and Gateway's token of the cluster.
    """
    arguments = (
        *("--protocol", "tls", "--host", facts.host, "--port", "0"),
        *("--dashboard-address", f"{facts.host}:0", "--no-show"),
        *("--preload", "dask_gateway.scheduler_preload"),
        *("--preload", f"{facts.folder}/{SCHEDULER_PRELOAD}"),
        *_token_preload(facts),
        *("--dg-api-address", f"{facts.host}:0"),
        *("--dg-heartbeat-period", str(heartbeat)),
        *("--dg-adaptive-period", str(adaptive_period)),
        *("--dg-idle-timeout", str(idle_timeout)),
    )
    environment = _environment(facts, "SCHEDULER")
    environment["DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES"] = repr(list(HTTP_ROUTES))
    return Launch((*command, *arguments), environment, {**files, **preload_files()})


def worker_launch(
    command: tuple[str, ...],
    facts: ClusterFacts,
    *,
    name: str,
    scheduler: str,
    threads: int,
    memory: int,
    files: Mapping[str, bytes],
) -> Launch:
    """Describe one worker.

    Parameters
    ----------
    command
        Starts a Dask worker, for example ``("dask", "worker")``.
    name
        Gateway's name of the worker.
    scheduler
        ``tls://host:port``.
    threads
        Threads of the worker.
    memory
        Limit in bytes.
    files
        Certificate, key and Gateway's token of the cluster.
    """
    arguments = (
        *(scheduler, "--name", name, "--host", facts.host),
        # a worker's own dashboard has no access control; the scheduler's shows all workers
        "--no-dashboard",
        *("--nthreads", str(threads), "--memory-limit", str(memory)),
        *("--local-directory", f"{facts.folder}/scratch"),
        *_token_preload(facts),
    )
    environment = {**_environment(facts, "WORKER"), **ALLOCATOR}
    return Launch((*command, *arguments), environment, {**files, **preload_files()})


@cache
def preload_files() -> dict[str, bytes]:
    """Return our preloads by the names that they have beside a process.

    They go along with the launch, so that the environment of a scheduler or worker, often an image
    of the users' own, needs no `af_hub`: Dask Gateway for a scheduler, `distributed` for a worker.
    """
    here = Path(__file__).parent
    return {
        SCHEDULER_PRELOAD: (here / "preload.py").read_bytes(),
        TOKEN_PRELOAD: (here / "token_preload.py").read_bytes(),
    }


def _token_preload(facts: ClusterFacts) -> tuple[str, ...]:
    return ("--preload", f"{facts.folder}/{TOKEN_PRELOAD}") if facts.audience else ()


def _environment(facts: ClusterFacts, role: str) -> dict[str, str]:
    certificate = f"{facts.folder}/{CERTIFICATE_FILE}"
    environment = {
        **facts.extra,
        "DASK_GATEWAY_API_URL": facts.api_url,
        # Gateway reads a value with a slash as the path of a file
        "DASK_GATEWAY_API_TOKEN": f"{facts.folder}/{GATEWAY_TOKEN_FILE}",
        "DASK_GATEWAY_CLUSTER_NAME": facts.name,
        "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True",
        "DASK_DISTRIBUTED__COMM__TLS__CA_FILE": certificate,
        f"DASK_DISTRIBUTED__COMM__TLS__{role}__CERT": certificate,
        f"DASK_DISTRIBUTED__COMM__TLS__{role}__KEY": f"{facts.folder}/{KEY_FILE}",
        "DASK_TEMPORARY_DIRECTORY": f"{facts.folder}/scratch",
    }
    doors = facts.extra.get(DOORS, "").split()
    environment[DOORS] = " ".join(door for door in doors if door.startswith(f"{facts.audience}="))
    return environment
