"""Container images that a profile offers: one, some to choose from, or the user's own."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import (
    AfterValidator,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
    TypeAdapter,
    model_validator,
)
from pydantic_core import SchemaError

from af_hub.facility.access import Access
from af_hub.facility.base import REFERENCE, ImageReference, Model, Slug, Title, tuples

if TYPE_CHECKING:
    from pydantic_core import CoreSchema


@lru_cache(maxsize=1024)
def matcher(pattern: str) -> TypeAdapter[str]:
    """Make what compares a whole text with a pattern, in time linear in the text's length.

    Python's own expressions can take for ever on a text that a user chose.

    Raises
    ------
    ValueError
        If the pattern is wrong, alone or in brackets.
    """
    try:
        # alone first: `a)|(b` would escape from the brackets
        TypeAdapter(Annotated[str, StringConstraints(pattern=pattern)])
        whole = StringConstraints(pattern=rf"^(?:{pattern})$")
        return TypeAdapter(Annotated[str, whole])
    except SchemaError:
        raise ValueError("is not a regular expression (look-around is not supported)") from None


def _is_pattern(pattern: str) -> str:
    matcher(pattern)
    return pattern


Pattern = Annotated[
    str, StringConstraints(min_length=1, max_length=500), AfterValidator(_is_pattern)
]
"""A regular expression that all of a text must match; no look-around."""


class NamedImage(Access):
    """One image to choose."""

    name: Slug
    """Name for machines: what REST calls and saved choices say."""

    title: Title
    """Name for people."""

    image: ImageReference
    """The image, best by digest: ``HOST/PATH@sha256:…`` stays what it is."""


class OwnImage(Access):
    """Images that users may name themselves.

    It weakens JupyterHub's isolation: what runs in a Lab can then attack the hub's pages, unless each
    user has a subdomain.
    """

    patterns: Annotated[tuple[Pattern, ...], Field(min_length=1)]
    """Regular expressions of which one must match the whole reference, for example
    ``ghcr\\.io/my-experiment/[a-z0-9-]+:[a-z0-9.]+``. A dot that means a dot is written ``\\.``."""


class ImageChoice(Model):
    """The Lab's container image: a reference, or choices and own ones."""

    choices: tuple[NamedImage, ...] = ()
    """Images to choose from; empty: the facility's, beside own ones."""

    default: Slug | None = None
    """Name of the image chosen at first; the first of the choices if not set."""

    own: OwnImage | None = None
    """Images that users may name themselves; null: none."""

    fixed: ImageReference | None = None
    """The only image: what a bare reference is read as."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Tell JSON Schema that a reference is enough."""
        full = handler(core_schema)
        reference = TypeAdapter(ImageReference).json_schema()
        return {"anyOf": [reference, full]}

    @model_validator(mode="before")
    @classmethod
    def _bare_reference(cls, value: Any) -> Any:
        return {"fixed": value} if isinstance(value, str) else tuples(value)

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        names = [each.name for each in self.choices]
        if self.fixed is not None and (names or self.own is not None):
            raise ValueError("offers either one image (fixed) or choices and own ones")
        if self.fixed is None and not names and self.own is None:
            raise ValueError("offers nothing: say a reference, choices or own")
        if len(set(names)) != len(names):
            raise ValueError("a name stands twice")
        if self.default is not None and self.default not in names:
            raise ValueError("the default is not among the choices")
        return self

    def references(self) -> tuple[str, ...]:
        """List the images that are known beforehand."""
        named = tuple(each.image for each in self.choices)
        return named if self.fixed is None else (self.fixed,)


def is_reference(text: str) -> bool:
    """Tell whether a text has the form of an image reference."""
    return len(text) <= _LONGEST and _REFERENCE.fullmatch(text) is not None


_LONGEST = 512
_REFERENCE = re.compile(REFERENCE, re.ASCII)
