"""Clusters from code: ``clusters.new("local", workers=4)``.

For kernels: it may import dask. A type of the gateway is made by dask_gateway, one inside the
user's server by a process like those that the Lab server starts; the Lab lists both.
"""

from __future__ import annotations

import importlib
import os
import time
import warnings
from pathlib import Path
from typing import Any

from af_labextension.errors import LabError

from .kernel_types import KernelTypes
from .machine import this_server
from .manager import caller
from .manager.folder import ID, LIVE, Folder
from .manager.starter import start

TIMEOUT = 60.0
"""Seconds to wait for a cluster and its workers."""

PAUSE = 0.1
"""Seconds between two looks."""


class ClusterError(LabError):
    """There is no such cluster, or it could not be made; `message` says why."""

    default_status = 409


def new(
    type: str | None = None,
    *,
    workers: int | None = None,
    adapt: tuple[int, int] | None = None,
    cores: int | None = None,
    memory: int | str | None = None,
    gpus: int | None = None,
    image: str | None = None,
    timeout: float = TIMEOUT,
) -> Any:
    """Make a Dask cluster and wait for its workers.

    It goes on when the notebook ends; close it with ``cluster.shutdown()`` or in the Dask panel.

    Parameters
    ----------
    type
        Name of one of the facility's types; None: the first one of the gateway.
    workers
        How many; None: as the type proposes.
    adapt
        Fewest and most workers, instead of a fixed number.
    cores, memory, gpus
        Of one worker; memory in bytes, or such as ``"2G"``. None: as the type proposes.
    image
        Name of one of the type's images.
    timeout
        Seconds to wait. Fewer workers than wanted are a warning, since more may come later.

    Returns
    -------
    dask_gateway.GatewayCluster or LabCluster
        ``cluster.get_client()`` gives a client.

    Raises
    ------
    LabError
        It is refused; the message names the field. The gateway's own refusals are
        ``ValueError`` and ``dask_gateway.GatewayClusterError``.

    Examples
    --------
    >>> from af_labextension import clusters  # doctest: +SKIP
    >>> cluster = clusters.new("local", workers=4)  # doctest: +SKIP
    >>> client = cluster.get_client()  # doctest: +SKIP
    """
    given = {"worker_cores": cores, "worker_memory": memory, "worker_gpus": gpus, "image": image}
    options = {name: value for name, value in given.items() if value is not None}
    scale: dict[str, Any] | None = None
    if adapt is not None:
        scale = {"mode": "adaptive", "minimum": adapt[0], "maximum": adapt[1]}
    elif workers is not None:
        scale = {"mode": "fixed", "workers": workers}
    known = KernelTypes.read()
    kind = None if known is None or type is None else known.find(type)
    end = time.monotonic() + timeout
    cluster: Any
    if known is None or kind is None:
        cluster = _gateway_cluster(type, options, scale)
    else:
        machine = this_server(os.environ)
        living = [one for one in known.folder.clusters() if one["state"] in LIVE]
        if len(living) >= known.most:
            raise ClusterError(
                "too-many", f"There are {len(living)} clusters already. Shut one down first."
            )
        plan = kind.plan(options, scale, machine)
        state = start(known.python, known.folder, known.sockets, plan)
        cluster = LabCluster(state["id"], known.folder)
        cluster.wait(end)
        scale = plan.scale
    wanted = 0 if scale is None else scale.get("workers", scale.get("minimum", 0))
    _wait_for_workers(cluster, wanted, end)
    return cluster


def connect(cluster: str) -> Any:
    """Connect to a cluster that runs, by its id.

    Returns
    -------
    dask_gateway.GatewayCluster or LabCluster
        ``cluster.get_client()`` gives a client.

    Raises
    ------
    ClusterError
        ``no-cluster``.
    """
    if not ID.fullmatch(cluster):
        return importlib.import_module("dask_gateway").Gateway().connect(cluster)
    folder = os.environ.get(KernelTypes.VARIABLE, "")
    found = LabCluster(cluster, Folder(Path(folder)))
    found.wait(time.monotonic() + TIMEOUT)
    return found


def _gateway_cluster(
    kind: str | None, options: dict[str, Any], scale: dict[str, Any] | None
) -> Any:
    gateway = importlib.import_module("dask_gateway").Gateway()
    if kind is not None:
        options = {"type": kind, **options}
    cluster = gateway.new_cluster(shutdown_on_close=False, **options)
    if scale is not None and scale["mode"] == "adaptive":
        cluster.adapt(minimum=scale["minimum"], maximum=scale["maximum"])
    elif scale is not None:
        cluster.scale(scale["workers"])
    return cluster


def _wait_for_workers(cluster: Any, wanted: int, end: float) -> None:
    if wanted < 1:
        return
    with cluster.get_client() as client:
        found = 0
        while found < wanted and time.monotonic() < end:
            found = len(client.scheduler_info(n_workers=-1)["workers"])
            time.sleep(PAUSE)
    if found < wanted:
        warnings.warn(
            f"{found} of {wanted} workers so far; the Dask panel says what the others wait for.",
            stacklevel=3,
        )


class LabCluster:
    """A cluster inside the user's server, held by a process of its own.

    ``distributed.Client(cluster)`` takes it as any other cluster.

    Parameters
    ----------
    id
        Of the cluster.
    folder
        Where it is written down.
    """

    def __init__(self, id: str, folder: Folder) -> None:
        self.id = id
        self._folder = folder
        self.scheduler_address = ""
        self.security: Any = None

    def __repr__(self) -> str:
        return f"LabCluster({self.id!r})"

    @property
    def status(self) -> Any:
        """Status as distributed knows it."""
        status = importlib.import_module("distributed").Status
        return status.running if self._state()["state"] == "running" else status.closed

    def wait(self, end: float) -> None:
        """Wait until it runs, or until a moment of the monotonic clock.

        Raises
        ------
        ClusterError
            It failed, or does not run in time.
        """
        while (state := self._state())["state"] in {"pending", "starting"}:
            if time.monotonic() > end:
                raise ClusterError("timeout", f"The cluster {self.id} is still {state['state']}.")
            time.sleep(PAUSE)
        if state["state"] != "running":
            raise ClusterError("cluster-failed", str(state.get("reason") or "The cluster ended."))
        found = self._ask("security")
        security = importlib.import_module("distributed").Security
        self.scheduler_address = found["address"]
        if found["security"] is not None:
            self.security = security(require_encryption=True, **found["security"])

    def get_client(self) -> Any:
        """Return a client."""
        client = importlib.import_module("distributed").Client
        return client(self.scheduler_address, security=self.security)

    def scale(self, workers: int) -> None:
        """Have so many workers from now on."""
        self._scale({"mode": "fixed", "workers": workers})

    def adapt(self, minimum: int = 0, maximum: int = 1) -> None:
        """Let the number of workers follow the work."""
        self._scale({"mode": "adaptive", "minimum": minimum, "maximum": maximum})

    def _scale(self, scale: dict[str, Any]) -> None:
        state, known = self._state(), KernelTypes.read()
        kind = None if known is None else known.find(state["type"])
        if kind is None:
            raise ClusterError("type-unavailable", "The cluster's type is not offered any more.")
        self._ask("scale", scale=kind.checked(scale, state["options"], this_server(os.environ)))

    def shutdown(self) -> None:
        """End it."""
        self._ask("close")

    def _state(self) -> dict[str, Any]:
        state = self._folder.look(self.id)
        if state is None:
            raise ClusterError("no-cluster", f"There is no cluster {self.id}.", status=404)
        return state

    def _ask(self, what: str, **more: Any) -> Any:
        try:
            return caller.ask(self._state(), what, **more)
        except caller.SaidNo as error:
            raise ClusterError(error.code, error.message) from error
        except caller.NoAnswer as error:
            raise ClusterError(
                "cluster-silent", "The cluster's process does not answer."
            ) from error


def security_for(info: dict[str, str]) -> Any:
    """Return what ``Client("tls://…")`` needs for a cluster of this user.

    The Lab names this function as Dask's ``distributed.client.security-loader``.

    Parameters
    ----------
    info
        ``{"address": …}``.

    Returns
    -------
    distributed.Security or None
        None: not a cluster of ours.
    """
    address = info.get("address", "")
    if address.startswith("gateway://"):
        return connect(address.rpartition("/")[2]).security
    folder = os.environ.get(KernelTypes.VARIABLE, "")
    if not address.startswith("tls://") or not folder:
        return None
    for state in Folder(Path(folder)).clusters():
        if state["state"] == "running" and state["private"].get("address") == address:
            return connect(state["id"]).security
    return None
