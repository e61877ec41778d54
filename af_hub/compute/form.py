"""A cluster type as the Lab draws its dialog from it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from af_hub.compute.options import default_scale
from af_hub.compute.sizes import MIB
from af_hub.compute.types import InLabSection

if TYPE_CHECKING:
    from af_hub.compute.types import ClusterType


def type_json(kind: ClusterType) -> dict[str, Any]:
    """Describe a type to its users: no path, class or image reference.

    Returns
    -------
    dict
        ``{name, title, site, description, backend, options}``, see `options_schema`.
    """
    return {
        "name": kind.name,
        "title": kind.title,
        "site": kind.site,
        "description": kind.description,
        "backend": kind.backend,
        "options": options_schema(kind),
    }


def lab_type_json(kind: ClusterType) -> dict[str, Any]:
    """Describe a type to the Lab's server, which makes clusters of the backend in-lab itself.

    Returns
    -------
    dict
        As `type_json`; those of the backend in-lab have ``in_lab`` (``{factory, kwargs}``) and
        ``lifetime`` (``{idle, max}`` in seconds) as well. Neither is for the browser.
    """
    described = type_json(kind)
    if kind.in_users_server:
        described["in_lab"] = (kind.in_lab or InLabSection()).model_dump()
        described["lifetime"] = kind.lifetime.model_dump()
    return described


def options_schema(kind: ClusterType) -> dict[str, Any]:
    """Return the JSON Schema of what a user may choose for this type.

    ``properties`` are ``image`` (names, with ``x-titles``; only if there is a choice),
    ``worker_cores`` (integer), ``worker_memory`` (integer, bytes), ``worker_gpus`` (integer; only
    if there can be some) and ``scale`` (object). ``x-unit`` says how to show a number.

    Returns
    -------
    dict
        JSON Schema, draft 2020-12, without references.
    """
    worker = kind.worker
    properties: dict[str, Any] = {}
    if kind.images is not None:
        properties["image"] = {
            "type": "string",
            "title": "Software",
            "default": kind.images.default,
            "enum": [one.name for one in kind.images.choices],
            "x-titles": [one.title or one.name for one in kind.images.choices],
        }
    properties["worker_cores"] = {
        **_number("Cores per worker", worker.cores),
        "x-unit": "cores",
    }
    properties["worker_memory"] = {
        **_number("Memory per worker", worker.memory),
        "multipleOf": MIB,
        "x-unit": "bytes",
    }
    if worker.gpus.max:
        properties["worker_gpus"] = {**_number("GPUs per worker", worker.gpus), "x-unit": "gpus"}
    properties["scale"] = _scale(kind)
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _number(title: str, offered: Any) -> dict[str, Any]:
    return {
        "type": "integer",
        "title": title,
        "default": offered.default,
        "minimum": offered.min,
        "maximum": offered.max,
    }


def _scale(kind: ClusterType) -> dict[str, Any]:
    count = {"type": "integer", "minimum": 0, "maximum": kind.scale.max}
    return {
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
    }
