"""Types of clusters in the user's server: what the dialog offers, and what may be asked for. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from af_labextension.errors import BadRequest

from .amounts import as_bytes, bytes_text
from .manager.launch import Plan

if TYPE_CHECKING:
    from .machine import Machine

MIB = 1024**2
"""Bytes in a mebibyte."""

LOCAL = "dask.distributed:LocalCluster"
"""Dask's own class, whose workers share this server's cores."""

LOCAL_NAMES = (LOCAL, "distributed:LocalCluster", "distributed.deploy.local:LocalCluster")
"""Names of it."""


@dataclass(frozen=True, slots=True)
class Range:
    """Sizes that may be asked for."""

    lowest: int
    default: int
    highest: int

    def below(self, limit: int) -> Range:
        """Return what is left under a limit; nothing may be, then `lowest` is above `highest`."""
        highest = min(self.highest, limit)
        return Range(self.lowest, min(self.default, highest), highest)


@dataclass(frozen=True, slots=True)
class Kind:
    """One type.

    Parameters
    ----------
    name, title, site, description
        As users see them.
    factory, args, kwargs
        The class, ``module:Class``, and its arguments; ``"{worker_cores}"`` in them stands for
        what the user chose. Nothing of it reaches the browser.
    cores, memory
        Sizes of one worker; None: the class has its own.
    scale
        Proposed scale.
    most
        Most workers.
    idle, longest
        Seconds without work and of age after which a cluster ends; 0 is never.
    """

    name: str
    title: str
    factory: str = LOCAL
    site: str = ""
    description: str = ""
    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)
    cores: Range | None = None
    memory: Range | None = None
    scale: dict[str, Any] = field(default_factory=lambda: {"mode": "fixed", "workers": 1})
    most: int = 1
    idle: float = 1800.0
    longest: float = 86400.0

    @property
    def is_local(self) -> bool:
        """Tell whether its workers share this server's cores."""
        return self.factory in LOCAL_NAMES

    def fitted(self, machine: Machine) -> Kind:
        """Return the type as far as this server can bear it."""
        if not self.is_local:
            return self
        most = min(self.most, machine.cores)
        return replace(
            self,
            cores=None if self.cores is None else self.cores.below(machine.cores),
            memory=None if self.memory is None else self.memory.below(_whole_mib(machine.memory)),
            most=most,
            scale={
                name: min(value, most) if isinstance(value, int) else value
                for name, value in self.scale.items()
            },
        )

    @property
    def too_large(self) -> str | None:
        """Say why no worker fits into this server, if so."""
        for size, what in ((self.cores, "cores"), (self.memory, "memory")):
            if size is not None and size.lowest > size.highest:
                needed = bytes_text(size.lowest) if what == "memory" else str(size.lowest)
                return f"Your server is too small: one worker needs {what} of at least {needed}."
        return None

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema that the dialog is drawn from."""
        properties: dict[str, Any] = {}
        if self.cores is not None:
            properties["worker_cores"] = {
                **_number("Cores per worker", self.cores),
                "x-unit": "cores",
            }
        if self.memory is not None:
            properties["worker_memory"] = {
                **_number("Memory per worker", self.memory),
                "multipleOf": MIB,
                "x-unit": "bytes",
            }
        properties["scale"] = self._scale_schema()
        return {"type": "object", "additionalProperties": False, "properties": properties}

    def _scale_schema(self) -> dict[str, Any]:
        count = {"type": "integer", "minimum": 0, "maximum": self.most}
        fixed = {"mode": {"const": "fixed"}, "workers": count}
        adaptive = {
            "mode": {"const": "adaptive"},
            "minimum": count,
            "maximum": {**count, "minimum": 1},
        }
        return {
            "type": "object",
            "title": "Workers",
            "default": self.scale,
            "oneOf": [
                {
                    "title": title,
                    "properties": properties,
                    "required": list(properties),
                    "additionalProperties": False,
                }
                for title, properties in (("Fixed", fixed), ("Adaptive", adaptive))
            ],
        }

    def plan(self, options: dict[str, Any], scale: Any, machine: Machine) -> Plan:
        """Turn what the browser asks for into what will be started.

        Raises
        ------
        BadRequest
            ``unknown-option`` or ``bad-option``; the message names the field.
        """
        ours = self.fitted(machine)
        known = tuple(
            name
            for name, size in (("worker_cores", ours.cores), ("worker_memory", ours.memory))
            if size is not None
        )
        _only(options, "options", known)
        wish: dict[str, Any] = {}
        if ours.cores is not None:
            wish["worker_cores"] = _whole(
                "worker_cores", options.get("worker_cores", ours.cores.default), ours.cores
            )
        if ours.memory is not None:
            wish["worker_memory"] = _memory(
                options.get("worker_memory", ours.memory.default), ours.memory
            )
        wanted = ours.checked(scale, wish, machine)
        return Plan(
            type=self.name,
            title=self.title,
            site=self.site,
            factory=self.factory,
            args=self.args,
            kwargs=self.kwargs,
            wish=wish,
            scale=wanted,
            idle=self.idle,
            longest=self.longest,
        )

    def checked(self, scale: Any, wish: dict[str, Any], machine: Machine) -> dict[str, Any]:
        """Return a scale that this type allows for workers of a size.

        Raises
        ------
        BadRequest
            As `plan`.
        """
        ours = self.fitted(machine)
        wanted = ours.scale if scale is None else _scale(scale, ours.most)
        if self.is_local:
            _check_room(wanted, wish, machine)
        return wanted


def _scale(asked: Any, most: int) -> dict[str, Any]:
    mode = asked.get("mode") if isinstance(asked, dict) else None
    if mode == "fixed":
        _only(asked, "scale", ("mode", "workers"))
        return {
            "mode": mode,
            "workers": _whole("scale.workers", asked.get("workers"), Range(0, 0, most)),
        }
    if mode == "adaptive":
        _only(asked, "scale", ("mode", "minimum", "maximum"))
        highest = _whole("scale.maximum", asked.get("maximum"), Range(1, 1, most))
        lowest = _whole("scale.minimum", asked.get("minimum", 0), Range(0, 0, highest))
        return {"mode": mode, "minimum": lowest, "maximum": highest}
    raise _bad("scale must be an object whose mode is fixed or adaptive.")


def _check_room(scale: dict[str, Any], wish: dict[str, Any], machine: Machine) -> None:
    """Refuse more workers than this server has room for."""
    name = "workers" if scale["mode"] == "fixed" else "maximum"
    count = scale[name]
    cores, memory = count * wish.get("worker_cores", 1), count * wish.get("worker_memory", 0)
    if cores > machine.cores:
        raise _bad(
            f"scale.{name}: {count} workers of this size need {cores} cores; your server has"
            f" {machine.cores}."
        )
    if memory > machine.memory:
        has = bytes_text(_whole_mib(machine.memory))
        raise _bad(
            f"scale.{name}: {count} workers of this size need {bytes_text(memory)} of memory; your"
            f" server has {has}."
        )


def _whole_mib(amount: int) -> int:
    return amount // MIB * MIB


def _number(title: str, size: Range) -> dict[str, Any]:
    return {
        "type": "integer",
        "title": title,
        "default": size.default,
        "minimum": size.lowest,
        "maximum": size.highest,
    }


def _only(asked: dict[str, Any], name: str, known: tuple[str, ...]) -> None:
    for key in asked:
        if key not in known:
            there = ", ".join(known) or "none"
            raise BadRequest(
                "unknown-option",
                f"{name} has no field {ascii(key)[:40]}; there are: {there}.",
                status=422,
            )


def _whole(name: str, value: Any, size: Range) -> int:
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or not size.lowest <= value <= size.highest
    ):
        raise _bad(f"{name} must be a whole number from {size.lowest} to {size.highest}.")
    return value


def _memory(value: Any, size: Range) -> int:
    try:
        amount = -1 if isinstance(value, float) else as_bytes(value)
    except ValueError:
        amount = -1
    if not size.lowest <= amount <= size.highest:
        raise _bad(
            f"worker_memory must be from {bytes_text(size.lowest)} to {bytes_text(size.highest)}."
        )
    return amount


def _bad(message: str) -> BadRequest:
    return BadRequest("bad-option", message, status=422)
