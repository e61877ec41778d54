"""Section ``profiles``: what a user can start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, model_validator

from af_hub.facility.amounts import CpuChoice, CpuValue, Gpu, RamChoice, RamValue
from af_hub.facility.base import Duration, Slug, Text, Title, WebAddress
from af_hub.facility.choices import Option
from af_hub.facility.images import ImageChoice
from af_hub.facility.limits import MaxConcurrent
from af_hub.facility.placement import Additions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from af_hub.facility.access import Access

_ONE_CORE = CpuChoice(choices=(CpuValue(value=1),), default=1)
_ONE_GIB = RamChoice(choices=(RamValue(value=1024**3),), default=1024**3)


class Profile(Additions):
    """One card on the spawn page."""

    name: Slug
    """Name for machines: what REST calls and saved choices say."""

    title: Title
    """Name for people."""

    description: Text = ""
    """One or two sentences for people, plain text."""

    default: bool = False
    """Chosen at first. At most one profile; else the first that the user may use."""

    cpu: CpuChoice = _ONE_CORE
    """Processor cores: a number, ``{choices: [1, 2], default: 1}`` or ``{min: 1, max: 8}``."""

    ram: RamChoice = _ONE_GIB
    """Memory: a size such as ``4G``, ``{choices: [2G, 4G], default: 2G}`` or ``{min: 2G, max: 64G,
    step: 2G}``."""

    gpu: Gpu | None = None
    """Graphics processors; null offers none."""

    image: ImageChoice | None = None
    """Container image of the Lab: a reference, or choices and the user's own; null takes
    ``kubernetes.lab_image``. On one machine Labs run from the hub's own environment, whatever stands
    here."""

    options: Annotated[tuple[Option, ...], Field(max_length=20)] = ()
    """Further choices, for example a software release or a queue."""

    home: bool = True
    """Mount the user's home volume; without it, files are gone with the server."""

    max_concurrent: MaxConcurrent = MaxConcurrent()
    """How many servers of this profile may run at the same time."""

    start_timeout: Duration | None = None
    """Time after which a start is given up, in seconds or as ``20m``; null: the spawner's. A virtual
    node needs more than a real one."""

    hub_url: WebAddress | None = None
    """The hub as Labs of this profile reach it, for example ``https://hub.example.org`` from a remote
    site; null: as all others."""

    max_lifetime: Duration | None = None
    """Time after which the server is stopped, in seconds or as ``8h``; null: never."""

    idle_timeout: Duration | None = None
    """Time without activity after which the server is stopped; null: never."""

    gpu_idle_timeout: Duration | None = None
    """Time without work on its graphics processors after which the server is stopped; null: never."""

    @property
    def users_bring_images(self) -> bool:
        """Whether somebody may name an image that the administrator has not."""
        return self.image is not None and self.image.own is not None

    def references(self) -> tuple[str, ...]:
        """List the images that are known beforehand."""
        named = () if self.image is None else self.image.references()
        chosen = (choice.image for option in self.options for choice in option.choices)
        return (*named, *(image for image in chosen if image is not None))

    def restricted(self) -> Iterator[Access]:
        """List the profile and everything in it that may be for some groups only."""
        yield self
        yield from self.volumes
        yield from self.cpu.choices
        yield from self.ram.choices
        if self.gpu is not None:
            yield from self.gpu.counts
        if self.image is not None:
            yield from self.image.choices
            if self.image.own is not None:
                yield self.image.own
        for option in self.options:
            yield option
            for choice in option.choices:
                yield choice
                yield from choice.volumes

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.max_concurrent.per_group is not None and not self.allowed_groups:
            raise ValueError(
                "max_concurrent.per_group needs allowed_groups: they say which groups are counted"
            )
        names = [option.name for option in self.options]
        if len(set(names)) != len(names):
            raise ValueError("an option stands twice")
        self._check_images()
        self._check_places()
        return self

    def _check_images(self) -> None:
        """Refuse two answers to the question which image runs."""
        asked = self.image is not None and self.image.fixed is None
        setting = [
            option.name
            for option in self.options
            if any(choice.image is not None for choice in option.choices)
        ]
        if len(setting) + asked > 1:
            raise ValueError("the image is chosen twice: by image or by one option, not by both")

    def _check_places(self) -> None:
        """Refuse two volumes at one place; choices of one option exclude each other."""
        taken = [volume.place for volume in self.volumes]
        for option in self.options:
            places = {volume.place for choice in option.choices for volume in choice.volumes}
            for choice in option.choices:
                mine = [volume.place for volume in choice.volumes]
                if len(set(mine)) != len(mine):
                    raise ValueError(f"two volumes appear at one place in {choice.name!r}")
            taken.extend(sorted(places))
        twice = sorted({place for place in taken if taken.count(place) > 1})
        if twice:
            raise ValueError(f"two volumes appear at {twice[0]}")
