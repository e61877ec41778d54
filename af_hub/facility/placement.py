"""What a profile or an option adds to a Lab and to its pod: variables, volumes, where it runs."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from af_hub.facility.access import Access
from af_hub.facility.base import Model
from af_hub.facility.volumes import Volume

_RESERVED_NAMES: Final = frozenset(
    {"HOME", "USER", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "RUCIO_CONFIG"}
)
_RESERVED_PREFIXES: Final = ("AF_", "BEARER_TOKEN", "JUPYTERHUB_", "JPY_", "DASK_GATEWAY__")
_NAME: Final = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"


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

LabelKey = Annotated[
    str, StringConstraints(pattern=rf"^([a-z0-9]([a-z0-9.-]{{0,251}}[a-z0-9])?/)?{_NAME}$")
]
"""Key of a label, a taint or an annotation: a name, with or without a DNS prefix."""

LabelValue = Annotated[str, StringConstraints(pattern=rf"^({_NAME})?$")]
"""Value of a label or a taint."""


class Toleration(Model):
    """A taint of nodes that a pod puts up with."""

    key: LabelKey | None = None
    """Key of the taint; null: every one (`operator` is then ``Exists``)."""

    operator: Literal["Equal", "Exists"] = "Equal"
    """Whether the value counts (``Equal``) or the key alone (``Exists``)."""

    value: LabelValue | None = None
    """Value of the taint; for ``Equal``."""

    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint; null: every one."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.key is None and self.operator != "Exists":
            raise ValueError("a toleration without a key has the operator Exists")
        if self.operator == "Exists" and self.value is not None:
            raise ValueError("the operator Exists looks at no value")
        return self


class Additions(Access):
    """What profiles and the choices of their options have in common."""

    environment: dict[VariableName, VariableValue] = Field(default_factory=dict)
    """Environment variables of the Lab. Not for secrets: users can read them."""

    volumes: tuple[Volume, ...] = ()
    """Volumes of the Lab's pod beside the home folder."""

    node_selector: dict[LabelKey, LabelValue] = Field(default_factory=dict)
    """Labels that the pod's node must have."""

    tolerations: tuple[Toleration, ...] = ()
    """Taints that the pod's node may have, for example that of a virtual node."""

    annotations: dict[LabelKey, Annotated[str, StringConstraints(max_length=4096)]] = Field(
        default_factory=dict
    )
    """Annotations of the pod, for example for a virtual node; taken as they are written."""
