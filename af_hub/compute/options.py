"""What a user asks for, checked against the facility's cluster types. Pure.

The browser or notebook names a type and sizes, nothing else: classes, commands and images are the
server's business. Every refusal names the field, and never repeats more than a short piece of what
was sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from af_hub.compute.types import AdaptiveScale
from af_hub.errors import Refusal
from af_hub.iam.groups import matches_any
from af_hub.quantities import format_bytes, parse_bytes

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from af_hub.compute.types import ClusterType, ComputeConfig

MIB = 1024**2
"""Bytes in a mebibyte."""

OPTION_NAMES = ("type", "worker_cores", "worker_memory")
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
    """

    type: str
    cores: int
    memory: int


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


def resolve(config: ComputeConfig, groups: Collection[str], requested: object) -> WorkerSpec:
    """Turn a request into what will be started.

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
    cores, memory = kind.worker.cores, kind.worker.memory
    return WorkerSpec(
        type=kind.name,
        cores=_whole(
            "worker_cores", wishes.get("worker_cores", cores.default), cores.min, cores.max
        ),
        memory=_memory(wishes.get("worker_memory", memory.default), memory.min, memory.max),
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


def options_schema(kind: ClusterType) -> dict[str, Any]:
    """Return the JSON Schema of what a user may choose for this type.

    The Lab draws its dialog from it: ``properties`` are ``worker_cores`` (integer),
    ``worker_memory`` (integer, bytes) and ``scale`` (object). ``x-unit`` says how to show a number.

    Returns
    -------
    dict
        JSON Schema, draft 2020-12, without references.
    """
    cores, memory = kind.worker.cores, kind.worker.memory
    count = {"type": "integer", "minimum": 0, "maximum": kind.scale.max}
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "worker_cores": {
                "type": "integer",
                "title": "Cores per worker",
                "default": cores.default,
                "minimum": cores.min,
                "maximum": cores.max,
                "x-unit": "cores",
            },
            "worker_memory": {
                "type": "integer",
                "title": "Memory per worker",
                "default": memory.default,
                "minimum": memory.min,
                "maximum": memory.max,
                "multipleOf": MIB,
                "x-unit": "bytes",
            },
            "scale": {
                "type": "object",
                "title": "Workers",
                "default": default_scale(kind).as_json(),
                "oneOf": [
                    {
                        "title": "Fixed",
                        "properties": {"mode": {"const": "fixed"}, "workers": count},
                        "required": ["mode", "workers"],
                        "additionalProperties": False,
                    },
                    {
                        "title": "Adaptive",
                        "properties": {
                            "mode": {"const": "adaptive"},
                            "minimum": count,
                            "maximum": {**count, "minimum": 1},
                        },
                        "required": ["mode", "minimum", "maximum"],
                        "additionalProperties": False,
                    },
                ],
            },
        },
    }


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
    usable = open_types(config, groups)
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
