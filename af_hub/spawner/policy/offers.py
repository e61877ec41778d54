"""What a user may have: a profile as the user's groups leave it. Pure.

Page and policy look at nothing else, so they cannot differ.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from af_hub.facility.limits import MaxConcurrent
from af_hub.spawner.policy.plan import NVIDIA

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from af_hub.facility.images import NamedImage
    from af_hub.facility.limits import Limit
    from af_hub.facility.placement import Toleration
    from af_hub.facility.volumes import Volume
    from af_hub.spawner.profile_list.unlisted import Unlisted

_NO_LIMIT = MaxConcurrent()


@dataclass(frozen=True, slots=True)
class Amounts:
    """Numbers to choose from.

    Parameters
    ----------
    values
        All of them: a tuple as the catalogue orders it, or a `range` with steps.
    default
        The one that is chosen at first.
    """

    values: Sequence[int]
    default: int

    @property
    def least(self) -> int:
        """The smallest of them."""
        return min(self.values)


@dataclass(frozen=True, slots=True)
class Grant:
    """What profile or choice add to a Lab.

    Parameters
    ----------
    environment
        Environment variables.
    volumes
        Volumes that the user may see.
    node_selector, annotations
        Labels that the node must have; annotations of the pod.
    tolerations
        Taints that the node may have.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[Volume, ...] = ()
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)

    def plus(self, other: Grant) -> Grant:
        """Add another one, which wins where both say something."""
        return Grant(
            environment={**self.environment, **other.environment},
            volumes=(*self.volumes, *other.volumes),
            node_selector={**self.node_selector, **other.node_selector},
            tolerations=tuple(dict.fromkeys((*self.tolerations, *other.tolerations))),
            annotations={**self.annotations, **other.annotations},
        )


NOTHING = Grant()
"""Of a profile or a choice that adds nothing."""


@dataclass(frozen=True, slots=True)
class OfferedChoice:
    """One answer to an option.

    Parameters
    ----------
    name, title, description
        From the catalogue.
    image
        Container image in place of the profile's; None leaves it.
    grant
        What it adds.
    overrides
        Traits from a ``profile_list``; None from a catalogue.
    """

    name: str
    title: str
    description: str = ""
    image: str | None = None
    grant: Grant = NOTHING
    overrides: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class OfferedOption:
    """A question beside cores, memory, devices and image.

    Parameters
    ----------
    name, title
        From the catalogue.
    choices
        Answers that the user may give; empty only beside `unlisted`.
    default
        Name of the one chosen at first; None: none, the user has to write something.
    unlisted
        How a text of one's own is checked; None: it is refused. From a ``profile_list`` only.
    """

    name: str
    title: str
    choices: tuple[OfferedChoice, ...]
    default: str | None
    unlisted: Unlisted | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """A profile as one user may have it.

    Parameters
    ----------
    name, title, description
        From the catalogue.
    default
        Chosen at first.
    cpu, ram
        What may be chosen; None leaves it to the spawner's settings (of a ``profile_list`` only).
    gpu
        What may be chosen; None offers no devices.
    gpu_product, gpu_resource
        Which devices.
    image
        Fixed image; None: chosen from `images`, or the facility's.
    images
        Images to choose from.
    image_default
        Name of the one chosen at first; None: `image`, or the facility's.
    own_image
        Patterns of images that the user may name; empty: none.
    options
        Further questions.
    grant
        What the profile adds.
    home
        Whether the home volume is mounted.
    groups
        Groups of the user that the catalogue and its limits name.
    let_in
        Those that the profile's ``allowed_groups`` let in.
    limits
        Limits that concern the user.
    max_concurrent
        Limits of the profile.
    start_timeout, hub_url, max_lifetime, idle_timeout, gpu_idle_timeout
        As in `Plan`.
    overrides
        Traits from a ``profile_list``; None from a catalogue.
    settings
        Of the spawner, where `overrides` say nothing.
    """

    name: str
    title: str
    description: str = ""
    default: bool = False
    cpu: Amounts | None = None
    ram: Amounts | None = None
    gpu: Amounts | None = None
    gpu_product: str | None = None
    gpu_resource: str = NVIDIA
    image: str | None = None
    images: tuple[NamedImage, ...] = ()
    image_default: str | None = None
    own_image: tuple[str, ...] = ()
    options: tuple[OfferedOption, ...] = ()
    grant: Grant = NOTHING
    home: bool = True
    groups: tuple[str, ...] = ()
    let_in: tuple[str, ...] = ()
    limits: tuple[Limit, ...] = ()
    max_concurrent: MaxConcurrent = _NO_LIMIT
    start_timeout: float | None = None
    hub_url: str | None = None
    max_lifetime: float | None = None
    idle_timeout: float | None = None
    gpu_idle_timeout: float | None = None
    overrides: Mapping[str, Any] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
