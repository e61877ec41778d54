"""What a user asks for, checked against the facility's cluster types. Pure.

The browser or notebook names a type and sizes, nothing else: classes, commands and images are the
server's business. Every refusal names the field, and never repeats more than a short piece of what
was sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from af_hub.compute.sizes import AdaptiveScale
from af_hub.errors import Refusal
from af_hub.iam.groups import matches_any
from af_hub.quantities import format_bytes, parse_bytes

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from af_hub.compute.types import ClusterType, ComputeConfig

OPTION_NAMES = ("type", "image", "worker_cores", "worker_memory", "worker_gpus")
"""Keys that a request for a cluster may carry."""


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """What one worker of a cluster is.

    Parameters
    ----------
    type
        Name of the cluster type.
    cores
        Cores, which is also the number of threads.
    memory
        Bytes.
    gpus
        GPUs.
    image
        Name of the software, empty if the type has no choice.
    """

    type: str
    cores: int
    memory: int
    gpus: int = 0
    image: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the form of the REST API, complete."""
        return {
            "type": self.type,
            "image": self.image,
            "worker_cores": self.cores,
            "worker_memory": self.memory,
            "worker_gpus": self.gpus,
        }


@dataclass(frozen=True, slots=True)
class Scale:
    """How many workers a cluster shall have.

    Parameters
    ----------
    mode
        ``fixed`` or ``adaptive``.
    minimum, maximum
        Bounds; equal for ``fixed``.
    """

    mode: Literal["fixed", "adaptive"]
    minimum: int
    maximum: int

    def as_json(self) -> dict[str, Any]:
        """Return the form of the REST API."""
        if self.mode == "fixed":
            return {"mode": "fixed", "workers": self.maximum}
        return {"mode": "adaptive", "minimum": self.minimum, "maximum": self.maximum}


def open_types(config: ComputeConfig, groups: Collection[str]) -> tuple[ClusterType, ...]:
    """Return the cluster types that a user of these groups may use, in the file's order."""
    return tuple(
        one
        for one in config.types
        if not one.allowed_groups or matches_any(groups, one.allowed_groups)
    )


def gateway_types(config: ComputeConfig, groups: Collection[str]) -> tuple[ClusterType, ...]:
    """Return those of `open_types` whose clusters the gateway makes."""
    return tuple(one for one in open_types(config, groups) if not one.in_users_server)


def resolve(config: ComputeConfig, groups: Collection[str], requested: object) -> WorkerSpec:
    """Turn a request to the gateway into what will be started.

    Parameters
    ----------
    config
        The facility's cluster types.
    groups
        The user's groups in canonical form, as the hub knows them.
    requested
        Mapping with any of `OPTION_NAMES`, as it came from the client. ``worker_memory`` is bytes
        or a text such as ``2G``.

    Raises
    ------
    Refusal
        ``unknown-option``, ``unknown-type``, ``no-type`` or ``bad-option``; the message names the
        field. A type that is not open to the user is answered like one that does not exist.
    """
    wishes = _mapping(requested, "options", OPTION_NAMES)
    kind = _type(config, groups, wishes.get("type"))
    cores, memory, gpus = kind.worker.cores, kind.worker.memory, kind.worker.gpus
    return WorkerSpec(
        type=kind.name,
        image=_image(kind, wishes),
        cores=_whole(
            "worker_cores", wishes.get("worker_cores", cores.default), cores.min, cores.max
        ),
        memory=_memory(wishes.get("worker_memory", memory.default), memory.min, memory.max),
        gpus=_whole("worker_gpus", wishes.get("worker_gpus", gpus.default), gpus.min, gpus.max),
    )


def resolve_scale(kind: ClusterType, requested: object) -> Scale:
    """Turn ``{mode, …}`` into a scale within the type's bounds.

    Parameters
    ----------
    kind
        The cluster's type.
    requested
        ``{"mode": "fixed", "workers": n}`` or ``{"mode": "adaptive", "minimum": n,
        "maximum": m}``; None means the type's default.

    Raises
    ------
    Refusal
        ``unknown-option`` or ``bad-option``; the message names the field.
    """
    if requested is None:
        return default_scale(kind)
    wishes = _mapping(requested, "scale", ("mode", "workers", "minimum", "maximum"))
    mode = wishes.get("mode")
    if mode == "fixed":
        _mapping(requested, "scale", ("mode", "workers"))
        count = _whole("scale.workers", wishes.get("workers"), 0, kind.scale.max)
        return Scale("fixed", count, count)
    if mode == "adaptive":
        _mapping(requested, "scale", ("mode", "minimum", "maximum"))
        highest = _whole("scale.maximum", wishes.get("maximum"), 1, kind.scale.max)
        lowest = _whole("scale.minimum", wishes.get("minimum", 0), 0, highest)
        return Scale("adaptive", lowest, highest)
    raise Refusal("bad-option", "scale.mode must be fixed or adaptive.", status=422)


def default_scale(kind: ClusterType) -> Scale:
    """Return the scale that the type proposes."""
    proposed = kind.scale.default
    if isinstance(proposed, AdaptiveScale):
        return Scale("adaptive", proposed.minimum, proposed.maximum)
    return Scale("fixed", proposed, proposed)


def _mapping(value: object, name: str, known: Collection[str]) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise Refusal("bad-option", f"{name} must be an object.", status=422)
    for key in value:
        if key not in known:
            raise Refusal(
                "unknown-option",
                f"{name} has no field {_shown(key)}; there are: {', '.join(known)}.",
                status=422,
            )
    return value


def _type(config: ComputeConfig, groups: Collection[str], wanted: object) -> ClusterType:
    usable = gateway_types(config, groups)
    if not usable:
        raise Refusal("no-type", "type: no kind of Dask cluster is open to your groups.")
    if wanted is None:
        return usable[0]
    for one in usable:
        if one.name == wanted:
            return one
    names = ", ".join(one.name for one in usable)
    raise Refusal(
        "unknown-type",
        f"type: {_shown(wanted)} is not open to you; there are: {names}.",
        status=422,
    )


def _image(kind: ClusterType, wishes: Mapping[str, object]) -> str:
    """Return the name of an allowed choice: never a path, an address, or anything else sent."""
    if kind.images is None:
        if wishes.get("image", "") != "":
            raise Refusal("bad-option", "image: this kind of cluster has no choice.", status=422)
        return ""
    wanted = wishes.get("image", kind.images.default)
    for one in kind.images.choices:
        if one.name == wanted:
            return one.name
    names = ", ".join(one.name for one in kind.images.choices)
    raise Refusal("bad-option", f"image must be one of: {names}."[:300], status=422)


def _whole(name: str, value: object, lowest: int, highest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise Refusal(
            "bad-option", f"{name} must be a whole number from {lowest} to {highest}.", status=422
        )
    return value


def _memory(value: object, lowest: int, highest: int) -> int:
    try:
        amount = -1 if isinstance(value, float) else parse_bytes(value)
    except ValueError:
        amount = -1
    if not lowest <= amount <= highest:
        raise Refusal(
            "bad-option",
            f"worker_memory must be from {format_bytes(lowest)} to {format_bytes(highest)}.",
            status=422,
        )
    return amount


def _shown(value: object) -> str:
    """Return at most 40 printable ASCII characters: the text goes into an HTTP reason line."""
    return ascii(value)[:40]
