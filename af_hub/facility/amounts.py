"""Amounts that a profile offers: one value, values to choose from, or a range."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Self, TypeVar

from pydantic import Field, GetJsonSchemaHandler, StringConstraints, model_validator

from af_hub.facility.access import Access
from af_hub.facility.base import Model, Size, tuples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic_core import CoreSchema

_ModelT = TypeVar("_ModelT", bound=Model)

Cores = Annotated[int, Field(ge=1, le=1024)]
Memory = Annotated[Size, Field(ge=128 * 1024**2, le=2**50)]
Count = Annotated[int, Field(ge=0, le=64)]
_MOST_STEPS = 10_000


def _value_of(choice: Any) -> Any:
    """Read what a choice offers before anybody has checked it."""
    return choice.get("value") if isinstance(choice, dict) else choice


class _Value(Access):
    """One value to choose."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Tell JSON Schema that the bare value is enough."""
        full = handler(core_schema)
        return {"anyOf": [handler.resolve_ref_schema(full)["properties"]["value"], full]}

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, value: Any) -> Any:
        """Read a bare value as a choice that is open to everybody."""
        return tuples(value) if isinstance(value, dict) else {"value": value}


class CpuValue(_Value):
    """A number of cores, which may be for some groups only."""

    value: Cores
    """Processor cores, a whole number."""


class RamValue(_Value):
    """An amount of memory, which may be for some groups only."""

    value: Memory
    """Memory in bytes or as ``4G`` (powers of 1024), at least ``128M``."""


class GpuValue(_Value):
    """A number of devices, which may be for some groups only."""

    value: Count
    """Graphics processors, a whole number; 0 asks for none."""


class _Amount(Model):
    """A value, values to choose from, or a range with steps."""

    # said again by each subclass, with its own type
    choices: tuple[Any, ...]
    min: Any
    max: Any
    step: Any
    default: Any

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Tell JSON Schema that a single value is enough."""
        full = handler(core_schema)
        body = handler.resolve_ref_schema(full)
        body.pop("required", None)
        body["oneOf"] = [{"required": ["choices"]}, {"required": ["min", "max"]}]
        return {"anyOf": [body["properties"]["default"], full]}

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, value: Any) -> Any:
        """Read a single value as the only choice; the first choice or `min` is the default."""
        if not isinstance(value, dict):
            return {"choices": (value,), "default": value}
        value = tuples(value)
        choices = value.get("choices")
        if choices and isinstance(choices, tuple):
            return {"default": _value_of(choices[0]), **value}
        if value.get("min") is not None:
            return {"default": value["min"], **value}
        raise ValueError("offers nothing: say choices, or min and max")

    @model_validator(mode="after")
    def _default_is_offered(self) -> Self:
        if (self.min is None) != (self.max is None):
            raise ValueError("a range has both min and max")
        if bool(self.choices) == (self.min is not None):
            raise ValueError("offers either choices or a range (min, max and step)")
        if self.step is not None and self.choices:
            raise ValueError("step belongs to a range (min, max)")
        if self.min is not None:
            _check_range(self.min, self.max, self.step or self.smallest_step())
        return check_default(self, [each.value for each in self.choices] or self.steps())

    def smallest_step(self) -> int:
        """Step of a range that names none."""
        return 1

    def steps(self) -> range:
        """All values of a range."""
        step = self.step or self.smallest_step()
        return range(self.min, self.max + 1, step)


def _check_range(least: int, most: int, step: int) -> None:
    """Check that the steps lead from one end to the other."""
    if most < least:
        raise ValueError("max is below min")
    if (most - least) % step:
        raise ValueError("steps from min do not reach max")
    if (most - least) // step >= _MOST_STEPS:
        raise ValueError(f"a range has at most {_MOST_STEPS} steps")


def check_default(model: _ModelT, offered: Sequence[int]) -> _ModelT:
    """Check that the default is one of the values and no value stands twice.

    Parameters
    ----------
    model
        Has a field ``default``.
    offered
        The values.

    Raises
    ------
    ValueError
        If not.
    """
    if model.default not in offered:  # type: ignore[attr-defined]
        raise ValueError("the default is not among the choices")
    if not isinstance(offered, range) and len(set(offered)) != len(offered):
        raise ValueError("a choice stands twice")
    return model


class CpuChoice(_Amount):
    """Processor cores: a number, choices and their default, or a range."""

    choices: tuple[CpuValue, ...] = ()
    """Cores to choose from: whole numbers, each alone or as ``{value: 8, allowed_groups: […]}``."""

    min: Cores | None = None
    """Least of a range, in place of choices."""

    max: Cores | None = None
    """Most of a range."""

    step: Annotated[int, Field(ge=1)] | None = None
    """Distance between the values of a range; 1 if not set."""

    default: Cores
    """Cores chosen at first; the first of the choices, or the least, if not set."""


class RamChoice(_Amount):
    """Memory: a size such as ``4G``, choices and their default, or a range."""

    choices: tuple[RamValue, ...] = ()
    """Memory to choose from: sizes such as ``4G``, each alone or as ``{value: 64G,
    allowed_groups: […]}``."""

    min: Memory | None = None
    """Least of a range, in place of choices, for example ``2G``."""

    max: Memory | None = None
    """Most of a range, for example ``64G``."""

    step: Annotated[Size, Field(ge=1024**2)] | None = None
    """Distance between the values of a range, at least ``1M``; ``1G`` if not set."""

    default: Memory
    """Memory chosen at first; the first of the choices, or the least, if not set."""

    def smallest_step(self) -> int:
        """Step of a range that names none."""
        return 1024**3


class Gpu(Model):
    """Graphics processors that a profile offers."""

    counts: Annotated[tuple[GpuValue, ...], Field(min_length=1)]
    """How many devices may be asked for, for example ``[0, 1]``; each alone or as ``{value: 4,
    allowed_groups: […]}``."""

    default: Count = 0
    """How many are chosen at first; the first of `counts` if not set."""

    product: Annotated[str, StringConstraints(min_length=1, max_length=80)] | None = None
    """Model that the devices must be, as the driver names it, for example ``NVIDIA A100``; null
    takes any."""

    resource: Annotated[
        str,
        StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]{0,118}[a-z0-9])?/[A-Za-z0-9._-]{1,63}$"),
    ] = "nvidia.com/gpu"
    """Kubernetes resource name, for example ``nvidia.com/mig-1g.5gb`` for a part of a device; on one
    machine only ``nvidia.com/gpu`` exists."""

    @model_validator(mode="before")
    @classmethod
    def _first_is_default(cls, value: Any) -> Any:
        """Take the first count as the default."""
        value = tuples(value)
        counts = value.get("counts") if isinstance(value, dict) else None
        if not counts or not isinstance(counts, tuple):
            return value
        return {"default": _value_of(counts[0]), **value}

    @model_validator(mode="after")
    def _default_is_offered(self) -> Self:
        return check_default(self, [each.value for each in self.counts])
