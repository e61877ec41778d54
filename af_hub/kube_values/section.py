"""What the facility file says about pods, as far as values need it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from af_hub.errors import ConfigError

if TYPE_CHECKING:
    from af_hub.facility import FacilityConfig


@dataclass(frozen=True, slots=True)
class Pods:
    """The section ``kubernetes`` and the images of profiles.

    Parameters
    ----------
    namespace
        Of users' pods; None: that of the hub.
    lab_image
        Image of a Lab unless its profile names another one.
    hub_url
        Where Labs reach the hub; None: the chart's Service.
    images
        Other images that profiles name, each once, in order.
    ca_config_map
        ConfigMap with the authorities that Labs trust; None: those of their image.
    """

    namespace: str | None
    lab_image: str
    hub_url: str | None
    images: tuple[str, ...]
    ca_config_map: str | None


def pods_of(facility: FacilityConfig) -> Pods:
    """Read it.

    Raises
    ------
    ConfigError
        ``no-kubernetes`` if the file has no such section.
    """
    section = facility.kubernetes
    if section is None:
        raise ConfigError(
            "no-kubernetes",
            "The facility file has no section kubernetes: say there which image Labs run "
            "(lab_image).",
        )
    named = (image for profile in facility.profiles for image in profile.references())
    others = (image for image in named if image != section.lab_image)
    return Pods(
        namespace=section.namespace,
        lab_image=section.lab_image,
        hub_url=section.hub_url,
        images=tuple(dict.fromkeys(others)),
        ca_config_map=section.ca_config_map,
    )
