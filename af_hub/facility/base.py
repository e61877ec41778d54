"""What every model of the facility file shares."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
)

from af_hub.iam.groups import MAX_LENGTH, check_pattern
from af_hub.quantities import parse_bytes, parse_seconds


class Model(BaseModel):
    """A frozen section of the facility file. Unknown keys are errors."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        validate_default=True,
    )

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Be one's own copy, as what cannot change may: traitlets copies settings for each spawner."""
        return self


def tuples(value: Any) -> Any:
    """Make tuples of lists, however deep.

    A validator that has touched a value no longer counts as JSON in pydantic's strict mode, where
    a list is then not good for a tuple.
    """
    if isinstance(value, list | tuple):
        return tuple(tuples(item) for item in value)
    if isinstance(value, dict):
        return {key: tuples(item) for key, item in value.items()}
    return value


def _beside_the_file(path: Path, info: ValidationInfo) -> Path:
    """Make a path absolute; a relative one counts from the folder of the facility file."""
    base = (info.context or {}).get("folder")
    return path.expanduser() if base is None else Path(base) / path.expanduser()


FilePath = Annotated[Path, AfterValidator(_beside_the_file)]
"""A file; relative paths count from the folder of the facility file."""

Size = Annotated[
    int,
    BeforeValidator(parse_bytes),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?\s*([KMGT]?)(i?B)?$"},
                {"type": "integer", "minimum": 0},
            ]
        }
    ),
]
"""Bytes; written ``4G`` (units are powers of 1024)."""

Duration = Annotated[
    float,
    BeforeValidator(parse_seconds),
    Field(gt=0),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?\s*[smhd]?$"},
                {"type": "number", "exclusiveMinimum": 0},
            ]
        }
    ),
]
"""Seconds; written ``30m``, ``8h``, ``7d``."""

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,38}[a-z0-9]$")]
"""A name for machines: 2 to 40 lower-case letters, digits and dashes."""

Title = Annotated[str, StringConstraints(min_length=1, max_length=80, strip_whitespace=True)]
"""One line for people."""

Text = Annotated[str, StringConstraints(max_length=2000)]
"""Plain text for people; markup is shown as it is written."""

GroupPattern = Annotated[
    str,
    AfterValidator(check_pattern),
    WithJsonSchema({"type": "string", "pattern": r"^/(.*/)?[^/]+$", "maxLength": MAX_LENGTH}),
]
"""``/cms`` (exactly), ``/cms/*`` (one level below), ``/cms/**`` (any level below)."""

WebAddress = Annotated[
    str, StringConstraints(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$", max_length=1000)
]
"""An http or https address without user, query or fragment."""

REFERENCE = (
    r"([a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?(:[0-9]{1,5})?/)?"
    r"[a-z0-9]+((\.|__?|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|__?|-+)[a-z0-9]+)*)*"
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?"
)
"""What an image reference matches as a whole."""

ImageReference = Annotated[str, StringConstraints(pattern=rf"^{REFERENCE}$", max_length=512)]
"""A container image: ``HOST/PATH:TAG`` or, better, ``HOST/PATH@sha256:…`` (the grammar of
references of the distribution project)."""

ObjectName = Annotated[
    str,
    StringConstraints(
        pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$", max_length=253
    ),
]
"""Name of a Kubernetes object: a DNS subdomain."""

Link = Annotated[
    str,
    StringConstraints(pattern=r"^(https?://[^\s\"<>]+|mailto:[^\s\"<>]+)$", max_length=1000),
]
"""Something to click on: an http, https or mailto address."""
