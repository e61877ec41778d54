"""Traits of one cluster, and the form of options that notebooks see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dask_gateway_server.backends.base import ClusterConfig
from dask_gateway_server.options import Integer, Options, Select, String
from traitlets import Dict, Float, Unicode

from af_hub.compute.options import open_types, resolve
from af_hub.errors import Refusal
from af_hub.quantities import format_bytes

if TYPE_CHECKING:
    from dask_gateway_server.models import User

    from af_hub.compute.types import ClusterType, ComputeConfig


class FacilityClusterConfig(ClusterConfig):  # type: ignore[misc]  # upstream has no types
    """What Gateway stores about a cluster beside its own settings."""

    cluster_type = Unicode(
        help="Name of the cluster type in the facility file that the cluster was made from."
    ).tag(config=True)
    max_lifetime = Float(
        0, min=0, help="Age in seconds at which the cluster is ended in any case; 0 means never."
    ).tag(config=True)
    token_audience = Unicode(
        help="Audience of the token that is relayed to scheduler and workers; empty means none."
    ).tag(config=True)
    initial_scale = Dict(
        help="Number of workers to start with, in the form of the REST API; empty means none."
    ).tag(config=True)


class FacilityOptions(Options):  # type: ignore[misc]  # upstream has no types
    """The options of one user: types open to the user's groups, checked by `resolve`.

    Parameters
    ----------
    compute
        The facility's cluster types.
    user
        Whose options.
    """

    def __init__(self, compute: ComputeConfig, user: User) -> None:
        usable = open_types(compute, user.groups)
        super().__init__(*(_fields(usable) if usable else ()))
        self._compute = compute
        self._groups = frozenset(user.groups)

    def parse_options(self, request: object) -> dict[str, Any]:
        """Check a request and return it complete.

        Raises
        ------
        Refusal
            The field is named in the message; Gateway answers with status 422.
        """
        spec = resolve(self._compute, self._groups, request)
        return {"type": spec.type, "worker_cores": spec.cores, "worker_memory": spec.memory}

    def get_configuration(self, options: dict[str, Any], user: User) -> dict[str, Any]:  # noqa: ARG002
        """Return the traits of a cluster with these checked options."""
        kind = self._compute.find(options["type"])
        if kind is None:
            raise Refusal("unknown-type", "type: no such kind of cluster.", status=422)
        return {
            "cluster_type": kind.name,
            "worker_cores": options["worker_cores"],
            "worker_memory": options["worker_memory"],
            "cluster_max_workers": kind.scale.max,
            "idle_timeout": kind.lifetime.idle,
            "max_lifetime": kind.lifetime.max,
            "token_audience": kind.token.audience if kind.token else "",
        }


def _fields(usable: tuple[ClusterType, ...]) -> tuple[Any, ...]:
    """Describe the options for Dask Gateway's own widget; the bounds span all types."""
    first = usable[0].worker
    return (
        Select("type", options=[one.name for one in usable], label="Type"),
        Integer(
            "worker_cores",
            default=first.cores.default,
            min=min(one.worker.cores.min for one in usable),
            max=max(one.worker.cores.max for one in usable),
            label="Cores per worker",
        ),
        String(
            "worker_memory", default=format_bytes(first.memory.default), label="Memory per worker"
        ),
    )
