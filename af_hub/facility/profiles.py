"""Section ``profiles``: what a user can start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Self, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
    model_validator,
)

from af_hub.facility.base import (
    Duration,
    GroupPattern,
    ImageReference,
    Model,
    Size,
    Slug,
    Text,
    Title,
)

if TYPE_CHECKING:
    from pydantic_core import CoreSchema

_ModelT = TypeVar("_ModelT", bound=Model)

_RESERVED_NAMES = frozenset(
    {"HOME", "USER", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "RUCIO_CONFIG"}
)
_RESERVED_PREFIXES = ("AF_", "BEARER_TOKEN", "JUPYTERHUB_", "JPY_", "DASK_GATEWAY__")


def _offered(model: _ModelT, choices: tuple[int, ...], default: int) -> _ModelT:
    """Check that the default is one of the choices and no choice stands twice."""
    if default not in choices:
        raise ValueError("the default is not among the choices")
    if len(set(choices)) != len(choices):
        raise ValueError("a choice stands twice")
    return model


class _Choice(Model):
    """A value, or values to choose from."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Tell JSON Schema that a single value is enough."""
        full = handler(core_schema)
        body = handler.resolve_ref_schema(full)
        body["required"] = ["choices"]
        items = body["properties"]["choices"]["items"]
        return {"anyOf": [items, full]}

    @model_validator(mode="before")
    @classmethod
    def _single_value(cls, value: Any) -> Any:
        """Read a single value as the only choice; the first choice is the default."""
        if not isinstance(value, dict):
            return {"choices": (value,), "default": value}
        choices = value.get("choices")
        if not isinstance(choices, list):
            return value
        # a tuple, since strict mode no longer counts this value as read from JSON
        first = {"default": choices[0]} if choices else {}
        return {**first, **value, "choices": tuple(choices)}


class CpuChoice(_Choice):
    """Processor cores: a number, or choices and their default."""

    choices: Annotated[tuple[Annotated[int, Field(ge=1, le=1024)], ...], Field(min_length=1)]
    """Cores to choose from, whole numbers."""

    default: Annotated[int, Field(ge=1, le=1024)]
    """Cores chosen at first; the first of the choices if not set."""

    @model_validator(mode="after")
    def _default_is_offered(self) -> Self:
        return _offered(self, self.choices, self.default)


class RamChoice(_Choice):
    """Memory: a size such as ``4G``, or choices and their default."""

    choices: Annotated[tuple[Annotated[Size, Field(ge=128 * 1024**2)], ...], Field(min_length=1)]
    """Memory to choose from, in bytes or as ``4G`` (powers of 1024), at least ``128M``."""

    default: Size
    """Memory chosen at first, in bytes; the first of the choices if not set."""

    @model_validator(mode="after")
    def _default_is_offered(self) -> Self:
        return _offered(self, self.choices, self.default)


class Gpu(Model):
    """Graphics processors that a profile offers."""

    counts: Annotated[tuple[Annotated[int, Field(ge=0, le=64)], ...], Field(min_length=1)]
    """How many devices may be asked for, for example ``[0, 1]``."""

    default: Annotated[int, Field(ge=0, le=64)] = 0
    """How many are chosen at first; the first of `counts` if not set."""

    product: Annotated[str, StringConstraints(min_length=1, max_length=80)] | None = None
    """Model that the devices must be, as the driver names it, for example ``NVIDIA A100``; null
    takes any."""

    resource: Annotated[str, StringConstraints(pattern=r"^[a-z0-9./-]{1,120}$")] = "nvidia.com/gpu"
    """Kubernetes resource name; on one machine only ``nvidia.com/gpu`` exists."""

    @model_validator(mode="before")
    @classmethod
    def _first_is_default(cls, value: Any) -> Any:
        """Take the first count as the default."""
        counts = value.get("counts") if isinstance(value, dict) else None
        if not isinstance(counts, list) or not counts:
            return value
        # a tuple, since strict mode no longer counts this value as read from JSON
        return {"default": counts[0], **value, "counts": tuple(counts)}

    @model_validator(mode="after")
    def _default_is_offered(self) -> Self:
        return _offered(self, self.counts, self.default)


class MaxConcurrent(Model):
    """How many servers of a profile may run at the same time."""

    per_user: Annotated[int, Field(ge=1)] | None = None
    """Running servers of one user; null sets no limit."""

    total: Annotated[int, Field(ge=1)] | None = None
    """Running servers of all users; null sets no limit."""


def _free_name(name: str) -> str:
    """Refuse names that JupyterHub or the facility set themselves."""
    if name in _RESERVED_NAMES or name.startswith(_RESERVED_PREFIXES):
        raise ValueError(f"{name} is set by the facility itself")
    return name


VariableName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$"),
    AfterValidator(_free_name),
]
"""Name of an environment variable that a profile may set."""


def _no_zero_byte(value: str) -> str:
    """Refuse what no process can be given."""
    if "\0" in value:
        raise ValueError("an environment variable cannot hold a NUL character")
    return value


VariableValue = Annotated[str, BeforeValidator(_no_zero_byte), StringConstraints(max_length=32_768)]
"""Value of an environment variable; taken as it is written, braces have no meaning."""


class Profile(Model):
    """One card on the spawn page."""

    name: Slug
    """Name for machines: what REST calls and saved choices say."""

    title: Title
    """Name for people."""

    description: Text = ""
    """One or two sentences for people, plain text."""

    default: bool = False
    """Chosen at first. At most one profile; else the first that the user may use."""

    cpu: CpuChoice = CpuChoice(choices=(1,), default=1)
    """Processor cores: a number, or ``{choices: [1, 2], default: 1}``."""

    ram: RamChoice = RamChoice(choices=(1024**3,), default=1024**3)
    """Memory: a size such as ``4G``, or ``{choices: [2G, 4G], default: 2G}``."""

    gpu: Gpu | None = None
    """Graphics processors; null offers none."""

    image: ImageReference | None = None
    """Container image of the Lab; null takes ``kubernetes.lab_image``. On one machine Labs run from
    the hub's own environment, whatever stands here."""

    environment: dict[VariableName, VariableValue] = Field(default_factory=dict)
    """Environment variables of the Lab. Not for secrets: users can read them."""

    allowed_groups: tuple[GroupPattern, ...] = ()
    """Who sees and may start it; empty: everybody who may log in."""

    denied_groups: tuple[GroupPattern, ...] = ()
    """Who does not see it, even if allowed above."""

    max_concurrent: MaxConcurrent = MaxConcurrent()
    """How many servers of this profile may run at the same time."""

    max_lifetime: Duration | None = None
    """Time after which the server is stopped, in seconds or as ``8h``; null: never."""
