"""Options of a profile: further choices, each of which adds something to the Lab."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from af_hub.facility.access import Access
from af_hub.facility.base import ImageReference, Slug, Text, Title
from af_hub.facility.placement import Additions


class OptionChoice(Additions):
    """One choice of an option."""

    name: Slug
    """Name for machines: what REST calls and saved choices say."""

    title: Title
    """Name for people."""

    description: Text = ""
    """What it is for, plain text."""

    default: bool = False
    """Chosen at first. At most one; else the first that the user may choose."""

    image: ImageReference | None = None
    """Container image in place of the profile's; null leaves it."""


class Option(Access):
    """One question beside cores, memory, devices and image."""

    name: Slug
    """Name for machines."""

    title: Title
    """The question, for people."""

    choices: Annotated[tuple[OptionChoice, ...], Field(min_length=1, max_length=100)]
    """Answers. Who may choose none of them is not asked, and gets nothing of the option."""

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [each.name for each in self.choices]
        if len(set(names)) != len(names):
            raise ValueError("a choice stands twice")
        if sum(each.default for each in self.choices) > 1:
            raise ValueError("only one choice can be the default")
        return self
