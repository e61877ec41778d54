"""Traits of one cluster, and the form of options that notebooks see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dask_gateway_server.backends.base import ClusterConfig
from dask_gateway_server.options import Integer, Options, Select, String
from traitlets import Dict, Float, Unicode
from traitlets import Integer as IntegerTrait

from af_hub.compute.options import gateway_types, resolve
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
    image = Unicode(
        help="Name of the software that the owner chose from the type's images; empty if the type "
        "offers no choice."
    ).tag(config=True)
    worker_gpus = IntegerTrait(
        0, min=0, help="Number of GPUs of each worker, for which quotas count."
    ).tag(config=True)
    quota_group = Unicode(
        help="Group pattern of the facility file that the cluster counts for, fixed when it was "
        "made; empty if none fits."
    ).tag(config=True)
    idle_limit = Float(
        0, min=0, help="Seconds without work after which the gateway ends the cluster; 0 = never."
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
        usable = gateway_types(compute, user.groups)
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
        return resolve(self._compute, self._groups, request).as_json()

    def get_configuration(self, options: dict[str, Any], user: User) -> dict[str, Any]:  # noqa: ARG002
        """Return the traits of a cluster with these checked options."""
        kind = self._compute.find(options["type"])
        if kind is None:
            raise Refusal("unknown-type", "type: no such kind of cluster.", status=422)
        return {
            **_commands(kind, options["image"]),
            "cluster_type": kind.name,
            "image": options["image"],
            "worker_cores": options["worker_cores"],
            "worker_memory": options["worker_memory"],
            "worker_gpus": options["worker_gpus"],
            "cluster_max_workers": kind.scale.max,
            # not Gateway's idle_timeout: the scheduler would end itself, without a word before
            "idle_limit": kind.lifetime.idle,
            "max_lifetime": kind.lifetime.max,
            "token_audience": kind.token.audience if kind.token else "",
        }


def _commands(kind: ClusterType, image: str) -> dict[str, list[str]]:
    """Return which program of the chosen environment starts scheduler and workers."""
    chosen = kind.images.find(image) if kind.images else None
    if chosen is None or chosen.environment is None:
        return {}
    program = f"{chosen.environment.rstrip('/')}/bin/dask"
    return {"scheduler_cmd": [program, "scheduler"], "worker_cmd": [program, "worker"]}


def _fields(usable: tuple[ClusterType, ...]) -> tuple[Any, ...]:
    """Describe the options for Dask Gateway's own widget; the bounds span all types."""
    first = usable[0].worker
    fields = [
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
    ]
    most = max(one.worker.gpus.max for one in usable)
    if most:
        fields.append(
            Integer(
                "worker_gpus",
                default=first.gpus.default,
                min=min(one.worker.gpus.min for one in usable),
                max=most,
                label="GPUs per worker",
            )
        )
    return tuple(fields)
