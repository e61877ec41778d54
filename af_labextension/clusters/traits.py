"""The settings of the Dask part, beside those of the extension."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_core.paths import jupyter_data_dir, jupyter_runtime_dir
from traitlets import Dict, Int, List, TraitError, Unicode, validate
from traitlets.config import Configurable

from .gateway import Gateway
from .inlab import LabClusters
from .kernel_types import KernelTypes
from .kinds_from import from_trait
from .machine import this_server
from .manager.folder import Folder
from .python import KernelPython
from .service import Clusters

if TYPE_CHECKING:
    from af_labextension.hub import HubClient

SECURITY_LOADER = "DASK_DISTRIBUTED__CLIENT__SECURITY_LOADER"
"""Dask's variable for what gives a client its certificates."""


class ClusterTraits(Configurable):
    """Which clusters live in the user's own server."""

    in_lab_types = List(
        Dict(),
        help="""
        Types of Dask clusters inside the user's server, beside those that the hub tells.

        A list of dictionaries as the facility file has them in ``compute.types``: ``name``,
        ``title``, ``site``, ``description``, ``in_lab``, ``worker``, ``scale``, ``lifetime``.
        ``in_lab.factory`` is a class, ``module:Class``, which the kernel's Python imports; in
        ``in_lab.kwargs`` the text ``{worker_cores}`` or ``{worker_memory}`` (bytes) stands for what
        the user chose::

            c.FacilityExtension.in_lab_types = [
                {
                    "name": "pool",
                    "title": "The batch farm",
                    "in_lab": {
                        "factory": "dask_jobqueue:HTCondorCluster",
                        "kwargs": {
                            "cores": "{worker_cores}",
                            "memory": "{worker_memory}",
                            "disk": "2GB",
                        },
                    },
                    "worker": {
                        "cores": {"default": 1, "min": 1, "max": 4},
                        "memory": {"default": "2G", "min": "1G", "max": "8G"},
                    },
                    "scale": {"default": 2, "max": 50},
                    "lifetime": {"idle": "30m", "max": "24h"},
                },
            ]

        Without ``in_lab`` it is a ``LocalCluster`` on this server's cores. No quota of the
        facility counts these clusters. Users can read the arguments: put no secret there.
        """,
    ).tag(config=True)

    in_lab_most = Int(
        4,
        help="""
        Most clusters inside the user's server at a time.

        Each is a process with a scheduler, about 100 MB, beside its workers.
        """,
    ).tag(config=True)

    cluster_python = Unicode(
        help="""
        Python that runs clusters inside the user's server: it needs ``distributed`` and
        ``cryptography``.

        Empty means that of the default kernel, so that cluster and notebook have the same
        packages; and if that cannot be found, the Lab server's own.
        """,
    ).tag(config=True)

    cluster_folder = Unicode(
        help="""
        Folder in which clusters inside the user's server are written down.

        Empty means ``af-clusters`` in Jupyter's data folder. It must be on this machine or on a
        file system that is shared, and only the user may write to it.
        """,
    ).tag(config=True)

    @validate("in_lab_types")
    def _valid_in_lab_types(self, proposal: Any) -> Any:
        for entry in proposal["value"]:
            try:
                from_trait(entry)
            except ValueError as error:
                raise TraitError(f"in_lab_types: {error}") from error
        return proposal["value"]

    def make_clusters(self, hub: HubClient | None, server: Any) -> Clusters:
        """Return the user's clusters.

        Parameters
        ----------
        hub
            None without one.
        server
            The Jupyter server.
        """
        folder = self.cluster_folder or str(Path(jupyter_data_dir()) / "af-clusters")
        runtime = jupyter_runtime_dir() if server is None else server.runtime_dir

        def python() -> str:
            return self.cluster_python or kernel_python(
                None if server is None else server.kernel_spec_manager
            )

        lab = LabClusters(
            Folder(Path(folder)),
            Path(runtime),
            python=KernelPython(python),
            machine=this_server(os.environ),
            most=self.in_lab_most,
            kinds=tuple(from_trait(entry) for entry in self.in_lab_types),
            lab_config=None if hub is None else hub.lab_config,
        )
        return Clusters(None if hub is None else Gateway(hub), lab, hub)


def kernel_environment(clusters: Clusters) -> dict[str, str]:
    """Return what kernels need to know, to be put into the server's environment."""
    told = {KernelTypes.VARIABLE: str(clusters.lab.folder.path)}
    if clusters.lab.python == sys.executable and SECURITY_LOADER not in os.environ:
        # a kernel of another environment may not have this package, and Dask takes that for an error
        told[SECURITY_LOADER] = "af_labextension.clusters.code.security_for"
    return told


def kernel_python(kernel_specs: Any) -> str:
    """Return the Python of the default kernel, as its command names it.

    Parameters
    ----------
    kernel_specs
        Jupyter's `KernelSpecManager`; reads files.
    """
    try:
        # not `get_kernel_spec`: it looks for provisioners in every installed package, which takes
        # 40 ms of a Lab's start
        folder = kernel_specs.find_kernel_specs()["python3"]
        program = str(json.loads(Path(folder, "kernel.json").read_bytes())["argv"][0])
    except Exception:  # noqa: BLE001 - whatever is wrong with it, the server's own Python serves
        return sys.executable
    # "python" alone is what jupyter_client replaces by the server's own
    return program if program.startswith("/") else sys.executable
