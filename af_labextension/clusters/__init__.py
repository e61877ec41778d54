"""Dask clusters of the facility: the Lab's panel, and code in notebooks.

In a notebook::

    from af_labextension import clusters

    cluster = clusters.new("local", workers=4)
    client = cluster.get_client()

Clusters live behind Dask Gateway, or inside the user's server in processes of their own
(`af_labextension.clusters.manager`): a restart of the Lab touches neither. Neither dask nor
distributed is imported in the server.
"""

from __future__ import annotations

# as in `af_labextension`: importing typing takes longer than all the rest
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .code import ClusterError, LabCluster, connect, new

__all__ = ["ClusterError", "LabCluster", "connect", "new"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import code  # noqa: PLC0415 - the server imports this package, never that module

    return getattr(code, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
