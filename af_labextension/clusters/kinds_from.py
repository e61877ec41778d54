"""Types of clusters in the user's server, read from where they are told. Pure."""

from __future__ import annotations

import re
from typing import Any

from .amounts import as_bytes, as_seconds
from .kinds import LOCAL, LOCAL_NAMES, Kind, Range

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?")
"""Names of types, as in the facility file."""

FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", re.ASCII)
"""``module:Class``."""

CONFIGURED = "labextension"
"""Name of the type that the user's own Dask configuration describes."""

MOST = 1000
"""Workers of a cluster whose type sets no limit."""


def from_hub(config: dict[str, Any]) -> list[Kind]:
    """Return the types of the backend ``in-lab`` in the hub's description (``GET lab``)."""
    return [
        _from_view(one)
        for one in (config.get("compute") or {}).get("types") or []
        if one.get("backend") == "in-lab"
    ]


def _from_view(one: dict[str, Any]) -> Kind:
    """Read a type from the schema that the hub made for the dialog."""
    offered = (one.get("options") or {}).get("properties") or {}
    section, lifetime = one.get("in_lab") or {}, one.get("lifetime") or {}
    scale = offered.get("scale") or {}
    return Kind(
        name=str(one["name"]),
        title=str(one["title"]),
        site=str(one.get("site") or ""),
        description=str(one.get("description") or ""),
        factory=str(section.get("factory") or LOCAL),
        kwargs=dict(section.get("kwargs") or {}),
        cores=_offered(offered.get("worker_cores")),
        memory=_offered(offered.get("worker_memory")),
        scale=scale.get("default") or {"mode": "fixed", "workers": 1},
        most=_most_of(scale),
        idle=float(lifetime.get("idle", 1800.0)),
        longest=float(lifetime.get("max", 86400.0)),
    )


def _offered(schema: dict[str, Any] | None) -> Range | None:
    if not schema:
        return None
    return Range(int(schema["minimum"]), int(schema["default"]), int(schema["maximum"]))


def _most_of(schema: dict[str, Any]) -> int:
    for way in schema.get("oneOf") or []:
        workers = (way.get("properties") or {}).get("workers") or {}
        if "maximum" in workers:
            return int(workers["maximum"])
    return MOST


def from_trait(one: Any) -> Kind:
    """Read a type as the facility file has it, from the Lab's own configuration.

    Raises
    ------
    ValueError
        It cannot be meant; the message names the field.
    """
    known = ("name", "title", "site", "description", "in_lab", "worker", "scale", "lifetime")
    _only("the type", one, known)
    name = str(one.get("name") or "")
    if not NAME.fullmatch(name):
        raise ValueError(f"name: {name!r} must be made of small letters, digits and '-'")
    section, worker = one.get("in_lab") or {}, one.get("worker") or {}
    scale, lifetime = one.get("scale") or {}, one.get("lifetime") or {}
    _only("in_lab", section, ("factory", "args", "kwargs"))
    _only("worker", worker, ("cores", "memory"))
    _only("scale", scale, ("default", "max"))
    _only("lifetime", lifetime, ("idle", "max"))
    factory = str(section.get("factory") or LOCAL)
    if not FACTORY.fullmatch(factory):
        raise ValueError(f"in_lab.factory: {factory!r} must be module:Class")
    most = _number("scale.max", scale.get("max", MOST), 1)
    try:
        idle, longest = (as_seconds(lifetime.get(key, "30m")) for key in ("idle", "max"))
    except ValueError as error:
        raise ValueError(f"lifetime: {error}") from error
    return Kind(
        name=name,
        title=str(one.get("title") or name),
        site=str(one.get("site") or ""),
        description=str(one.get("description") or ""),
        factory=factory,
        args=list(section.get("args") or []),
        kwargs=dict(section.get("kwargs") or {}),
        cores=_range("worker.cores", worker.get("cores"), int),
        memory=_range("worker.memory", worker.get("memory"), as_bytes),
        scale=_scale(scale.get("default", 1), most),
        most=most,
        idle=idle,
        longest=longest if "max" in lifetime else 86400.0,
    )


def _range(name: str, found: Any, read: Any) -> Range | None:
    if found is None:
        return None
    _only(name, found, ("default", "min", "max"))
    try:
        lowest, default, highest = (read(found[key]) for key in ("min", "default", "max"))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{name} needs min, default and max, such as 1 and 4") from error
    if not 0 < lowest <= default <= highest:
        raise ValueError(f"{name} needs min <= default <= max")
    return Range(lowest, default, highest)


def _scale(found: Any, most: int) -> dict[str, Any]:
    if isinstance(found, dict):
        _only("scale.default", found, ("minimum", "maximum"))
        highest = _number("scale.default.maximum", found.get("maximum"), 1, most)
        lowest = _number("scale.default.minimum", found.get("minimum", 0), 0, highest)
        return {"mode": "adaptive", "minimum": lowest, "maximum": highest}
    return {"mode": "fixed", "workers": _number("scale.default", found, 0, most)}


def _number(name: str, value: Any, lowest: int, highest: int = 100_000) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise ValueError(f"{name} must be a whole number from {lowest} to {highest}")
    return value


def _only(name: str, found: Any, known: tuple[str, ...]) -> None:
    if not isinstance(found, dict):
        raise ValueError(f"{name} must be a dictionary")  # noqa: TRY004 - one type for all faults
    for key in found:
        if key not in known:
            raise ValueError(f"{name} has no field {key!r}; there are: {', '.join(known)}")


def from_dask(configured: Any) -> Kind | None:
    """Return the type that ``labextension`` in the user's Dask configuration describes.

    It is the user's own class with the user's own arguments, as dask-labextension takes it:
    ``factory.{module, class, args, kwargs}`` and ``default.{workers, adapt}``.
    """
    section = configured if isinstance(configured, dict) else {}
    factory, default = section.get("factory") or {}, section.get("default") or {}
    if not isinstance(factory, dict) or not isinstance(default, dict):
        return None
    name = f"{factory.get('module') or ''}:{factory.get('class') or ''}"
    if not FACTORY.fullmatch(name):
        return None
    kwargs = factory.get("kwargs") or {}
    local = name in LOCAL_NAMES
    return Kind(
        name=CONFIGURED,
        title=str(factory["class"]),
        site="your own server" if local else "",
        description="From your Dask configuration (labextension.factory).",
        factory=name,
        args=list(factory.get("args") or []),
        kwargs={str(key).replace("-", "_"): each for key, each in kwargs.items()},
        scale=_default_scale(default),
        most=MOST,
    )


def _default_scale(default: dict[str, Any]) -> dict[str, Any]:
    try:
        if adapt := default.get("adapt"):
            return _scale({key: adapt[key] for key in ("minimum", "maximum") if key in adapt}, MOST)
        return _scale(default.get("workers") or 0, MOST)
    except (TypeError, ValueError):
        return {"mode": "fixed", "workers": 0}
